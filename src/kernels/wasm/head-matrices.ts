import type { KvFormat } from '../../quant/kv-format.ts';

/** A matrix for each layer and KV head, and whether the kernels read it by columns. */
export interface HeadMatrixList {
  /** [numLayers * numKvHeads, headDim, headDim], row-major. */
  readonly values: Float32Array;
  readonly byColumns: boolean;
}

type HeadMatrixUse = 'k' | 'q' | 'v' | 'out' | 'feedback';

/** What a format multiplies heads with. */
export function headMatricesOf({ k, v }: KvFormat): Record<HeadMatrixUse, HeadMatrixList | undefined> {
  const list = (values: Float32Array | undefined, byColumns: boolean): HeadMatrixList | undefined =>
    values && { values, byColumns };
  return {
    k: list(k.transforms?.forward, true),
    // Queries take the transposed inverses of K's transforms, whose columns are the rows of the inverses.
    q: list(k.transforms?.inverse, false),
    v: list(v.transforms?.forward, true),
    out: list(v.transforms?.inverse, true),
    feedback: list(k.feedback, false),
  };
}

/** What is known of matrices that are told apart by where their numbers are, so that formats which share them have them once. */
export class HeadMatrices<Data> {
  readonly #known = new Map<ArrayBufferLike, { readonly list: HeadMatrixList; readonly data: Data }[]>();

  find(list: HeadMatrixList): Data | undefined {
    return this.#known.get(list.values.buffer)?.find((known) => isSame(known.list, list))?.data;
  }

  add(list: HeadMatrixList, data: Data): Data {
    const { buffer } = list.values;
    this.#known.set(buffer, [...(this.#known.get(buffer) ?? []), { list, data }]);
    return data;
  }
}

/** Of two lists in one buffer. */
function isSame(a: HeadMatrixList, b: HeadMatrixList): boolean {
  return (
    a.values.byteOffset === b.values.byteOffset && a.values.length === b.values.length && a.byColumns === b.byColumns
  );
}
