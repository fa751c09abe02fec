import type { Kernels, MatmulOutput } from '../kernels.ts';
import type { ExactOperand } from './row-bench.ts';
import { RowBench } from './row-bench.ts';
import { f32Tensor, tensorSource } from './tensor-source.ts';
import type { RandomWeights } from './weight-data.ts';

const FILE = { kind: 'file' } as const;

/** One matmul call: rows and all matrices that they are multiplied with. */
export interface ProductCase {
  readonly rows: readonly Float32Array[];
  readonly outputs: readonly ProductOutput[];
}

export interface ProductOutput {
  readonly weights: RandomWeights;
  /** [numRows of the weights], added to the product. */
  readonly bias?: Float32Array;
  /** [numRows of the weights], what `out` holds in every row before, if the product is added to it. */
  readonly base?: Float32Array;
}

/** A product case loaded into kernels, to be run with any of its rows. */
export class ProductBench {
  readonly #bench: RowBench;
  readonly #x: ExactOperand;
  /** Products with zeros, whose biases fill the outputs that are accumulated to. */
  readonly #bases: readonly MatmulOutput[];
  readonly #outputs: readonly MatmulOutput[];

  static async load(kernels: Kernels, { rows, outputs }: ProductCase): Promise<ProductBench> {
    const bench = new RowBench(kernels);
    const x = await bench.exactOperand(rows);
    const bases: MatmulOutput[] = [];
    const loaded: MatmulOutput[] = [];
    for (const { weights, bias, base } of outputs) {
      const { type, numRows, numCols, bytes } = weights;
      const matrix = await kernels.loadMatrix(tensorSource(type, numRows, numCols, bytes), FILE);
      const out = kernels.createActivation(numRows, 'step', 'readable');
      if (base) {
        const zeros = await kernels.loadMatrix(f32Tensor(numRows, numCols, new Float32Array(numRows * numCols)), FILE);
        bases.push({ weights: zeros, out, bias: await bench.vector(base) });
      }
      const common = { weights: matrix, out, accumulate: base !== undefined };
      loaded.push(bias ? { ...common, bias: await bench.vector(bias) } : common);
    }
    return new ProductBench(bench, x, bases, loaded);
  }

  private constructor(
    bench: RowBench,
    x: ExactOperand,
    bases: readonly MatmulOutput[],
    outputs: readonly MatmulOutput[],
  ) {
    this.#bench = bench;
    this.#x = x;
    this.#bases = bases;
    this.#outputs = outputs;
  }

  /** @returns for each output, for each of the rows named, the product */
  async run(rowIds: readonly number[]): Promise<Float32Array[][]> {
    const { kernels } = this.#bench;
    await this.#bench.step(rowIds, [this.#x], () => {
      if (this.#bases.length > 0) kernels.matmul(this.#x.operand, this.#bases);
      kernels.matmul(this.#x.operand, this.#outputs);
    });
    return this.#outputs.map(({ out }) => this.#bench.rows(out, rowIds.length));
  }
}
