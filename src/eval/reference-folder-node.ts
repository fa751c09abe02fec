import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KvantError } from '../errors.ts';

/** Distributions that another program computed; test/reference/README.md tells the format of a folder of them. */
export interface ReferenceFolder {
  readonly tokens: readonly number[];
  /** Positions whose whole distribution is known, ascending. */
  readonly positions: readonly number[];
  readonly vocabularySize: number;
  /**
   * Natural logarithms of the probabilities of the token that follows `position`: [vocabularySize].
   *
   * @throws RangeError if it is not one of `positions`
   */
  logProbs(position: number): Float64Array;
}

/** @throws KvantError FILE_ERROR if a file is missing or its size fits no vocabulary */
export async function openReferenceFolder(folder: string): Promise<ReferenceFolder> {
  const tokens = [...(await readNumbers(Uint16Array, folder, 'tokens.u16'))];
  const positions = [...(await readNumbers(Uint32Array, folder, 'full_positions.u32'))];
  const rows = (await readPlainRows(folder)) ?? (await readCodedRows(folder, positions.length));
  const vocabularySize = rows.numValues / positions.length;
  if (!Number.isInteger(vocabularySize) || vocabularySize === 0) {
    const message = `"${folder}" holds ${rows.numValues} log-probabilities for ${positions.length} positions: no whole number each`;
    throw new KvantError('FILE_ERROR', message);
  }
  return {
    tokens,
    positions,
    vocabularySize,
    logProbs(position) {
      const row = positions.indexOf(position);
      if (row < 0) throw new RangeError(`"${folder}" has no distribution at position ${position}`);
      return rows.decode(row, vocabularySize);
    },
  };
}

interface EncodedRows {
  readonly numValues: number;
  decode(row: number, length: number): Float64Array;
}

async function readPlainRows(folder: string): Promise<EncodedRows | undefined> {
  const values = await readNumbersIfThere(Float32Array, folder, 'full_logprobs.f32');
  return (
    values && {
      numValues: values.length,
      decode: (row, length) => Float64Array.from(values.subarray(row * length, (row + 1) * length)),
    }
  );
}

/** Codes of 16 bits with a scale and a minimum for each row: log p = scale * code + minimum. */
async function readCodedRows(folder: string, numRows: number): Promise<EncodedRows> {
  const codes = await readNumbers(Uint16Array, folder, 'full_logprobs.u16');
  const ranges = await readNumbers(Float32Array, folder, 'full_scale_min.f32');
  if (ranges.length !== 2 * numRows) {
    const message = `"full_scale_min.f32" in "${folder}" holds ${ranges.length} numbers, expected 2 for each of ${numRows} positions`;
    throw new KvantError('FILE_ERROR', message);
  }
  return {
    numValues: codes.length,
    decode: (row, length) => {
      const [scale, minimum] = ranges.subarray(2 * row);
      return Float64Array.from(codes.subarray(row * length, (row + 1) * length), (code) => scale * code + minimum);
    },
  };
}

type NumberArray = Uint16Array | Uint32Array | Float32Array;
interface NumberArrayConstructor<T extends NumberArray> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBuffer): T;
}

/** Little-endian numbers, as every platform that Node runs on has them. */
async function readNumbers<T extends NumberArray>(
  type: NumberArrayConstructor<T>,
  folder: string,
  name: string,
): Promise<T> {
  const numbers = await readNumbersIfThere(type, folder, name);
  if (numbers) return numbers;
  throw new KvantError('FILE_ERROR', `"${folder}" lacks "${name}": give a folder of reference outputs`);
}

async function readNumbersIfThere<T extends NumberArray>(
  type: NumberArrayConstructor<T>,
  folder: string,
  name: string,
): Promise<T | undefined> {
  let bytes: Buffer;
  try {
    bytes = await readFile(join(folder, name));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new KvantError('FILE_ERROR', `cannot read "${name}" in "${folder}": ${(cause as Error).message}`, { cause });
  }
  if (bytes.length % type.BYTES_PER_ELEMENT !== 0) {
    const message = `"${name}" in "${folder}" has ${bytes.length} bytes, no multiple of ${type.BYTES_PER_ELEMENT}: it is cut off`;
    throw new KvantError('FILE_ERROR', message);
  }
  return new type(new Uint8Array(bytes).buffer);
}
