import { normalStream } from '../../../test/random-data.ts';
import type { KvShape } from '../../cache/page-layout.ts';
import type { KvFormat } from '../../quant/kv-format.ts';

/**
 * A format with bits by layer, a matrix for each head, and errors that channels of K take, all random. Matrices are triangular with ones on
 * the diagonal; their inverses are not exact, which is no matter to comparisons of bits.
 */
export function calibratedFormat(format: KvFormat, { numLayers, numKvHeads, headDim }: KvShape): KvFormat {
  const normal = normalStream(21);
  const size = headDim ** 2;
  const numbers = (valueAt: (row: number, col: number) => number): Float32Array =>
    new Float32Array(numLayers * numKvHeads * size).map((_, i) =>
      valueAt(Math.floor((i % size) / headDim), i % headDim),
    );
  const transforms = {
    headDim,
    forward: numbers((row, col) => (row === col ? 1 : col < row ? (0.5 * normal()) / headDim : 0)),
    inverse: numbers((row, col) => (row === col ? 1 : 0)),
  };
  const feedback = numbers((row, col) => (col < row ? (0.5 * normal()) / Math.sqrt(headDim) : 0));
  const layerBits = Array.from({ length: numLayers }, (_, layer) =>
    layer % 2 === 0 ? ({ k: 5, v: 3 } as const) : ({ k: 2, v: 1 } as const),
  );
  const [k, v] = [format.k, format.v].map((side) => ({ ...side, rotate: false, transforms }));
  return { ...format, name: 'calibrated', layerBits, k: { ...k, feedback }, v };
}
