import { normalStream, uniformStream } from '../../../test/random-data.ts';

/** Rows of numbers that kernels must take, by name. */
export const FLOAT_DATA: Readonly<Record<string, (column: number, normal: () => number) => number>> = {
  Gaussian: (_, normal) => normal(),
  // A few channels stand out, as they do in the residual stream of language models.
  outlier: (column, normal) => normal() * (column % 37 === 5 ? 1000 : 1),
  zero: () => 0,
  // Multiples of 2^-142, so that they stay exact when divided by 128.
  denormal: (_, normal) => Math.round(normal() * 1000) * 2 ** -142,
  huge: (_, normal) => normal() * 1e30,
  mixed: (column, normal) => normal() * [1, 1e-30, 1e12, 0][Math.floor(column / 8) % 4],
};

export function floatRows(name: string, numRows: number, width: number, seed = 1): Float32Array[] {
  const normal = normalStream(seed);
  return Array.from({ length: numRows }, () =>
    new Float32Array(width).map((_, column) => FLOAT_DATA[name](column, normal)),
  );
}

/**
 * Rows that int8 codes represent exactly: integers in [-127, 127] times a power of two that differs from one group of
 * 32 to the next, with 127 or -127 among each 16 so that the scale is that power.
 */
export function int8Rows(numRows: number, width: number, seed = 1): Float32Array[] {
  const uniform = uniformStream(seed);
  return Array.from({ length: numRows }, () => {
    const row = new Float32Array(width);
    for (let c = 0; c < width; c++) {
      const unit = 2 ** ((Math.floor(c / 32) % 5) - 8);
      row[c] = unit * (c % 16 === 7 ? 127 * Math.sign(uniform() - 0.5) : Math.floor(uniform() * 255) - 127);
    }
    return row;
  });
}
