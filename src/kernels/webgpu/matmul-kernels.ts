import type { RowSet } from '../kernels.ts';
import { SEGMENT_GROUPS } from './column-order.ts';
import type { GpuDevice, GpuRange } from './gpu-device.ts';
import type { GpuKernel, GpuProgram, Grid } from './gpu-program.ts';
import type { GpuMatrix } from './gpu-weights.ts';
import { GROUP, type OperandRanges } from './row-ranges.ts';
import { f32, type ShaderConstants } from './shader-constants.ts';
import type { ShaderName } from './shaders.ts';

/** A product, its handles looked up. */
export interface GpuProduct {
  /** Of all outputs, one after another. */
  readonly matrix: GpuMatrix;
  readonly bias: GpuRange | undefined;
  /** One, or up to three, each with its number of features. */
  readonly outs: readonly { readonly range: GpuRange; readonly numFeatures: number }[];
  readonly accumulate: boolean;
  readonly rows: RowSet;
  readonly numRows: number;
  /** That have multiplied with this matrix, into these outputs, before. */
  readonly kernels: ProductKernels;
}

/** Kernels of a product, by number of rows and kind of input. */
export type ProductKernels = Map<number, KnownKernel>;

interface KnownKernel {
  readonly kernel: GpuKernel;
  readonly epsilon: number | undefined;
}

/** What a product takes in: an operand, or rows that are normed on the way. */
export type ProductInput = OperandRanges | NormedRows;

export interface NormedRows {
  readonly x: GpuRange;
  readonly weight: GpuRange;
  readonly epsilon: number;
}

/** Up to so many rows share each weight that a thread reads. */
const FEW_ROWS = 4;
const DECODE_WORKGROUP = 128;
const FLOAT_WORKGROUP = 64;
const FLOAT_ROWS = 4;
/**
 * Of many rows: features of a thread; threads of a slice that share a row, those that share a feature, and rows that a thread has at most. With few
 * features a GPU has more to do where tiles are small: measured on an H200 with 64 rows.
 */
const FEATURES_EACH = 4;
const ROW_THREADS = 8;
const TILES = {
  few: { featureThreads: 8, mostRowsEach: 4 },
  many: { featureThreads: 16, mostRowsEach: 8 },
} as const;
type Tile = (typeof TILES)[keyof typeof TILES];
/** With so many features there are workgroups enough, so that each can be larger: it reads less. */
const MANY_FEATURES = 8192;
const MOST_SLICES = 4;
/** Of the tiles of a slice at most: five vectors, and scales with what goes with them. */
const TILE_BYTES = { feature: 5 * 16 + 2 * 8, row: 5 * 16 + 2 * 16 } as const;
/** Columns of a segment, in all shaders. */
const SEGMENT_COLS = 32 * SEGMENT_GROUPS;
const MAX_THREADS = 32;
/** Beyond these, norming rows in each workgroup costs more than a dispatch: columns, of all rows too, and features, hence workgroups. */
const MOST_NORMED_COLS = 4096;
const MOST_NORMED_IN_ALL = 8192;
const MOST_NORMED_FEATURES = 32_768;

/** Products with weights, in integers or in float32. */
export class MatmulKernels {
  readonly #gpu: GpuDevice;
  readonly #program: GpuProgram;
  readonly #sizes: GpuRange;
  /** For what a shader does not read, and for what it does not write. */
  readonly #nothing: readonly [GpuRange, GpuRange];
  readonly #isFloat: boolean;

  /**
   * @param sizes a buffer that starts with the numbers of step rows and of output rows
   * @param isFloat whether activations stay float32
   */
  constructor(gpu: GpuDevice, program: GpuProgram, sizes: GpuRange, isFloat: boolean) {
    this.#gpu = gpu;
    this.#program = program;
    this.#sizes = sizes;
    this.#nothing = [gpu.allocate(GROUP, 'what is not there'), gpu.allocate(GROUP, 'what is not there')];
    this.#isFloat = isFloat;
  }

  /** Whether a product can norm its rows itself. */
  takesNormed(matrix: GpuMatrix, numRows: number): boolean {
    const { numCols, numRows: numFeatures } = matrix;
    const isNarrow = numCols <= MOST_NORMED_COLS && numRows * numCols <= MOST_NORMED_IN_ALL;
    return isNarrow && numFeatures <= MOST_NORMED_FEATURES && this.#isOfFew(matrix, numRows);
  }

  /** Whether `recordGated` can take the product: that of a gate's matrix, with as many rows again of up's. */
  takesGated(matrix: GpuMatrix, numRows: number): boolean {
    const { maxComputeInvocationsPerWorkgroup: most } = this.#gpu.limits;
    const isWhole = (matrix.numRows / 2) % GROUP === 0;
    return isWhole && this.#isOfFew(matrix, numRows) && gatedWorkgroup(matrix) <= most;
  }

  record(product: GpuProduct, input: ProductInput): void {
    const { matrix, numRows } = product;
    if (this.#isOfFew(matrix, numRows)) this.#recordDecode(product, input);
    else if ('x' in input) throw new Error('rows are normed on the way to few products only');
    else if (this.#isFloat || matrix.packing.codeBits >= 16) this.#recordFloat(product, input);
    else this.#recordPrefill(product, input);
  }

  /** out = silu(gate) * up, of few rows. */
  recordGated(product: GpuProduct, input: ProductInput, out: OperandRanges): void {
    const { matrix, bias, numRows } = product;
    const workgroup = gatedWorkgroup(matrix);
    const threads = threadsPerFeature(matrix.numCols);
    const width = matrix.numRows / 2;
    const kernel = known(product, 'gated', numRows, input, () => {
      const key = `gated ${shapeKey(matrix)} ${bias ? 'b' : ''} ${numRows} ${inputKey(input)}`;
      return this.#program.kernel(key, () => ({
        name: 'matmul-gated',
        parts: ['slots', 'weights', 'products', ...inputParts(input), 'row-sums', 'gate', 'operand'],
        constants: {
          ...weightConstants(matrix),
          ...inputConstants(input, matrix),
          ...{ NUM_FEATURES: matrix.numRows, THREADS: threads, ROWS: numRows, SIDES: 2, WORKGROUP: workgroup },
          SLICES: this.#slices(matrix),
          ...{ WIDTH: width, OPERAND_BINDING: 5, BIAS: bias !== undefined },
        },
      }));
    });
    const bindings = [...this.#inputBindings(matrix, bias, input), out.floats, out.codes, out.scales];
    this.#program.dispatch(kernel, bindings, gridOf(width, workgroup / threads, 1));
  }

  /** In how many slices rows are summed up: one where there are features enough for a GPU, else as many as a workgroup has room for. */
  #slices({ numCols, numRows }: GpuMatrix): number {
    let slices = numRows >= MANY_FEATURES ? 1 : MOST_SLICES;
    while (slices > 1 && (numCols % (SEGMENT_COLS * slices) > 0 || !this.#fits(slices, TILES.few))) slices /= 2;
    return slices;
  }

  #tile(matrix: GpuMatrix): Tile {
    const isLarge = matrix.numRows >= MANY_FEATURES && this.#fits(this.#slices(matrix), TILES.many);
    return isLarge ? TILES.many : TILES.few;
  }

  /** Whether a workgroup of matmul-prefill.wgsl with so many slices has room on this device. */
  #fits(slices: number, { featureThreads, mostRowsEach }: Tile): boolean {
    const { maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupStorageSize } = this.#gpu.limits;
    const [rows, features] = [ROW_THREADS * mostRowsEach, FEATURES_EACH * featureThreads];
    const tileBytes = slices * (features * TILE_BYTES.feature + rows * TILE_BYTES.row);
    const handedBytes = slices > 1 ? 4 * rows * features : 4;
    const numThreads = slices * ROW_THREADS * featureThreads;
    return numThreads <= maxComputeInvocationsPerWorkgroup && tileBytes + handedBytes <= maxComputeWorkgroupStorageSize;
  }

  #isOfFew({ packing }: GpuMatrix, numRows: number): boolean {
    return numRows <= FEW_ROWS && !this.#isFloat && packing.codeBits < 16;
  }

  #recordDecode(product: GpuProduct, input: ProductInput): void {
    const { matrix, bias, numRows } = product;
    const threads = threadsPerFeature(matrix.numCols);
    const kernel = known(product, 'few', numRows, input, () =>
      this.#kernel('matmul-decode', product, `${numRows} ${inputKey(input)}`, () => ({
        parts: ['products', ...inputParts(input), 'row-sums'],
        constants: {
          ...inputConstants(input, matrix),
          ...{ NUM_FEATURES: matrix.numRows, THREADS: threads, ROWS: numRows, SIDES: 1, WORKGROUP: DECODE_WORKGROUP },
          SLICES: this.#slices(matrix),
        },
      })),
    );
    const bindings = [...this.#inputBindings(matrix, bias, input), ...this.#outBindings(product)];
    this.#program.dispatch(kernel, bindings, gridOf(matrix.numRows, DECODE_WORKGROUP / threads, 1));
  }

  #recordPrefill(product: GpuProduct, input: OperandRanges): void {
    const { matrix, bias, numRows } = product;
    const { featureThreads, mostRowsEach } = this.#tile(matrix);
    const rowsEach = Math.min(mostRowsEach, 2 ** Math.ceil(Math.log2(Math.ceil(numRows / ROW_THREADS))));
    const kernel = known(product, 'many', rowsEach, input, () =>
      this.#kernel('matmul-prefill', product, `${rowsEach}`, () => ({
        parts: ['products', 'input-operand'],
        constants: {
          ...{ SIZE_INDEX: sizeIndex(product.rows), ROWS_EACH: rowsEach },
          ...{ ROW_THREADS, FEATURE_THREADS: featureThreads, SLICES: this.#slices(matrix) },
        },
      })),
    );
    const bindings = [...this.#inputBindings(matrix, bias, input), ...this.#outBindings(product, this.#sizes)];
    const grid = gridOf(matrix.numRows, FEATURES_EACH * featureThreads, Math.ceil(numRows / (ROW_THREADS * rowsEach)));
    this.#program.dispatch(kernel, bindings, grid);
  }

  #recordFloat(product: GpuProduct, { floats }: OperandRanges): void {
    const { matrix, bias, numRows } = product;
    const threads = threadsPerFeature(matrix.numCols);
    const kernel = this.#kernel('matmul-float', product, '', () => ({
      parts: [],
      constants: { THREADS: threads, SIZE_INDEX: sizeIndex(product.rows) },
    }));
    const input = [bias ?? this.#nothing[0], matrix.codes, matrix.scales, floats, undefined];
    const grid = gridOf(matrix.numRows, FLOAT_WORKGROUP / threads, Math.ceil(numRows / FLOAT_ROWS));
    this.#program.dispatch(kernel, [...input, ...this.#outBindings(product, this.#sizes)], grid);
  }

  #inputBindings(matrix: GpuMatrix, bias: GpuRange | undefined, input: ProductInput): GpuRange[] {
    const rows = 'x' in input ? [input.x, input.weight] : [input.codes, input.scales];
    return [bias ?? this.#nothing[0], matrix.codes, matrix.scales, ...rows];
  }

  /** From 5 on. */
  #outBindings({ outs }: GpuProduct, sizes?: GpuRange): (GpuRange | undefined)[] {
    const [first, second, third] = outs;
    const others = second ? [second.range, third?.range ?? this.#nothing[1]] : [undefined, undefined];
    return [first.range, ...others, sizes];
  }

  #kernel(
    name: 'matmul-decode' | 'matmul-prefill' | 'matmul-float',
    { matrix, bias, accumulate, rows, outs }: GpuProduct,
    key: string,
    describe: () => { readonly parts: readonly ShaderName[]; readonly constants: ShaderConstants },
  ): GpuKernel {
    const flags = `${bias ? 'b' : ''}${accumulate ? 'a' : ''}`;
    const ends = endsOf(outs);
    return this.#program.kernel(`${name} ${shapeKey(matrix)} ${ends.join()} ${rows} ${flags} ${key}`, () => {
      const { parts, constants } = describe();
      const output = { NUM_OUT: matrix.numRows, BIAS: bias !== undefined };
      return {
        name,
        parts: ['slots', 'weights', ...parts, outs.length > 1 ? 'output-three' : 'output-one'],
        constants: {
          ...weightConstants(matrix),
          ...output,
          ...(outs.length > 1 ? { END_0: ends[0], END_1: ends[1] } : { ACCUMULATE: accumulate }),
          ...constants,
        },
      };
    });
  }
}

const JOBS = { few: 0, many: 1, gated: 2 } as const;

/** The kernel that a product had before for as many rows and the same kind of input, or a new one. */
function known(
  { kernels }: GpuProduct,
  job: keyof typeof JOBS,
  numRows: number,
  input: ProductInput,
  make: () => GpuKernel,
): GpuKernel {
  const epsilon = 'x' in input ? input.epsilon : undefined;
  const key = (numRows * 3 + JOBS[job]) * 2 + (epsilon === undefined ? 0 : 1);
  const found = kernels.get(key);
  if (found?.epsilon === epsilon && found) return found.kernel;
  const kernel = make();
  kernels.set(key, { kernel, epsilon });
  return kernel;
}

/** Of weights.wgsl. */
export function weightConstants({ numCols, packing }: GpuMatrix): ShaderConstants {
  return { COLS: numCols, CODE_BITS: packing.codeKind, SCALES: packing.scaleKind };
}

/** Of norm.wgsl. */
export function normConstants(width: number, epsilon: number): ShaderConstants {
  return { NORM_WIDTH: width, EPSILON: f32(epsilon) };
}

function inputParts(input: ProductInput): ShaderName[] {
  return 'x' in input ? ['quantize', 'norm', 'input-normed'] : ['quantize', 'input-operand'];
}

function inputConstants(input: ProductInput, { numCols }: GpuMatrix): ShaderConstants {
  return 'x' in input ? normConstants(numCols, input.epsilon) : {};
}

function inputKey(input: ProductInput): string {
  return 'x' in input ? `n${input.epsilon}` : '';
}

function shapeKey({ numRows, numCols, packing }: GpuMatrix): string {
  return `${numRows}x${numCols} ${packing.codeKind}.${packing.scaleKind}`;
}

/** The first feature after each output. */
function endsOf(outs: GpuProduct['outs']): number[] {
  let end = 0;
  return outs.map(({ numFeatures }) => (end += numFeatures));
}

/** Where the sizes have the number of rows. */
function sizeIndex(rows: RowSet): number {
  return rows === 'step' ? 0 : 1;
}

/** Threads that share an output feature: one a segment, a power of two. */
function threadsPerFeature(numCols: number): number {
  return Math.min(MAX_THREADS, 2 ** Math.ceil(Math.log2(Math.ceil(numCols / SEGMENT_COLS))));
}

/** Threads of whole groups of features. */
function gatedWorkgroup({ numCols }: GpuMatrix): number {
  return Math.max(DECODE_WORKGROUP, GROUP * threadsPerFeature(numCols));
}

function gridOf(numFeatures: number, perWorkgroup: number, y: number): Grid {
  return [Math.ceil(numFeatures / perWorkgroup), y];
}
