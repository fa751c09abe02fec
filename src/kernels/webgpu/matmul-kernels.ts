import type { RowSet } from '../kernels.ts';
import type { GpuRange } from './gpu-device.ts';
import type { GpuKernel, GpuProgram, Grid } from './gpu-program.ts';
import type { GpuMatrix } from './gpu-weights.ts';
import type { OperandRanges } from './row-ranges.ts';
import type { ShaderConstants } from './shader-constants.ts';

/** A product, its handles looked up. */
export interface GpuProduct {
  readonly x: OperandRanges;
  readonly weights: GpuMatrix;
  readonly bias: GpuRange | undefined;
  readonly out: GpuRange;
  readonly accumulate: boolean;
  readonly rows: RowSet;
  readonly numRows: number;
}

/** Up to so many rows share each weight that a thread reads. */
const FEW_ROWS = 4;
const DECODE_WORKGROUP = 128;
const FLOAT_WORKGROUP = 64;
const FLOAT_ROWS = 4;
/** Output features of a workgroup, rows of its threads, and rows that a thread has at most. */
const TILE_OUT = 32;
const ROW_THREADS = 16;
const MOST_ROWS_EACH = 4;
/** Columns of a segment, in all shaders. */
const SEGMENT_COLS = 256;
const MAX_THREADS = 32;

/** Products with weights, in integers or in float32. */
export class MatmulKernels {
  readonly #program: GpuProgram;
  readonly #sizes: GpuRange;
  readonly #nothing: GpuRange;
  readonly #isFloat: boolean;

  /**
   * @param sizes a buffer that starts with the numbers of step rows and of output rows
   * @param nothing for what a shader does not read
   * @param isFloat whether activations stay float32
   */
  constructor(program: GpuProgram, sizes: GpuRange, nothing: GpuRange, isFloat: boolean) {
    this.#program = program;
    this.#sizes = sizes;
    this.#nothing = nothing;
    this.#isFloat = isFloat;
  }

  record(product: GpuProduct): void {
    const { weights, numRows } = product;
    if (numRows === 0) return;
    if (this.#isFloat || weights.packing.codeBits >= 16) this.#recordFloat(product);
    else if (numRows <= FEW_ROWS) this.#recordDecode(product);
    else this.#recordPrefill(product);
  }

  #recordDecode(product: GpuProduct): void {
    const { x, weights, bias, out, numRows } = product;
    const threads = threadsPerFeature(weights.numCols);
    const kernel = this.#kernel('matmul-decode', product, { THREADS: threads, ROWS: numRows });
    const bindings = [bias ?? this.#nothing, weights.codes, weights.scales, x.codes, x.scales, out];
    this.#program.dispatch(kernel, bindings, gridOf(weights.numRows, DECODE_WORKGROUP / threads, 1));
  }

  #recordPrefill(product: GpuProduct): void {
    const { x, weights, bias, out, numRows } = product;
    const rowsEach = Math.min(MOST_ROWS_EACH, 2 ** Math.ceil(Math.log2(Math.ceil(numRows / ROW_THREADS))));
    const constants = { SIZE_INDEX: sizeIndex(product.rows), ROWS_EACH: rowsEach };
    const kernel = this.#kernel('matmul-prefill', product, constants);
    const bindings = [bias ?? this.#nothing, weights.codes, weights.scales, x.codes, x.scales, out, this.#sizes];
    this.#program.dispatch(
      kernel,
      bindings,
      gridOf(weights.numRows, TILE_OUT, Math.ceil(numRows / (ROW_THREADS * rowsEach))),
    );
  }

  #recordFloat(product: GpuProduct): void {
    const { x, weights, bias, out, numRows } = product;
    const threads = threadsPerFeature(weights.numCols);
    const kernel = this.#kernel('matmul-float', product, { THREADS: threads, SIZE_INDEX: sizeIndex(product.rows) });
    const bindings = [bias ?? this.#nothing, weights.codes, weights.scales, x.floats, this.#sizes, out];
    const grid = gridOf(weights.numRows, FLOAT_WORKGROUP / threads, Math.ceil(numRows / FLOAT_ROWS));
    this.#program.dispatch(kernel, bindings, grid);
  }

  #kernel(
    name: 'matmul-decode' | 'matmul-prefill' | 'matmul-float',
    { weights, bias, accumulate, rows }: GpuProduct,
    constants: Readonly<Record<string, number>>,
  ): GpuKernel {
    const { numRows, numCols, packing } = weights;
    const flags = `${bias ? 'b' : ''}${accumulate ? 'a' : ''}`;
    const { ROWS = 0, ROWS_EACH = 0 } = constants;
    const shape = `${numRows}x${numCols} ${packing.codeKind}.${packing.scaleKind}`;
    const key = `${name} ${shape} ${rows} ${flags} ${ROWS} ${ROWS_EACH}`;
    return this.#program.kernel(key, () => ({
      name,
      parts: name === 'matmul-float' ? ['weights'] : ['weights', 'products'],
      constants: {
        ...weightConstants(weights),
        NUM_OUT: numRows,
        ACCUMULATE: accumulate,
        BIAS: bias !== undefined,
        ...constants,
      },
    }));
  }
}

/** Of weights.wgsl. */
export function weightConstants({ numCols, packing }: GpuMatrix): ShaderConstants {
  return { COLS: numCols, CODE_BITS: packing.codeKind, SCALES: packing.scaleKind };
}

/** Where the sizes have the number of rows. */
function sizeIndex(rows: RowSet): number {
  return rows === 'step' ? 0 : 1;
}

/** Threads that share an output feature: one a segment, a power of two. */
function threadsPerFeature(numCols: number): number {
  return Math.min(MAX_THREADS, 2 ** Math.ceil(Math.log2(Math.ceil(numCols / SEGMENT_COLS))));
}

function gridOf(numFeatures: number, perWorkgroup: number, y: number): Grid {
  return [Math.ceil(numFeatures / perWorkgroup), y];
}
