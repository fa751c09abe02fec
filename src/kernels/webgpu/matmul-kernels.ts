import type { RowSet } from '../kernels.ts';
import type { GpuDevice, GpuRange } from './gpu-device.ts';
import type { GpuKernel, GpuProgram, Grid } from './gpu-program.ts';
import type { GpuMatrix } from './gpu-weights.ts';
import { MatmulSizes, sizeOfTile, sizesOfFew, threadsPerFeature } from './matmul-sizes.ts';
import { GROUP, liesInTiles, type OperandRanges } from './row-ranges.ts';
import { f32, type ShaderConstants } from './shader-constants.ts';
import type { ShaderName } from './shaders.ts';

/** A product, its handles looked up. */
export interface GpuProduct {
  /** Of all outputs, one after another, or a piece of the only one's. */
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
const FLOAT_WORKGROUP = 64;
const FLOAT_ROWS = 4;
/** Beyond these, norming rows in each workgroup costs more than a dispatch: columns, of all rows too, and features. */
const MOST_NORMED_COLS = 4096;
const MOST_NORMED_IN_ALL = 8192;
const MOST_NORMED_FEATURES = 32_768;

/** Products with weights, in integers or in float32. */
export class MatmulKernels {
  readonly #program: GpuProgram;
  readonly #sizes: GpuRange;
  /** For what a shader does not read, and for what it does not write. */
  readonly #nothing: readonly [GpuRange, GpuRange];
  readonly #isFloat: boolean;
  readonly #workgroups: MatmulSizes;

  /**
   * @param sizes a buffer that starts with the numbers of step rows and of output rows
   * @param isFloat whether activations stay float32
   */
  constructor(gpu: GpuDevice, program: GpuProgram, sizes: GpuRange, isFloat: boolean) {
    this.#program = program;
    this.#sizes = sizes;
    this.#nothing = [gpu.allocate(GROUP, 'what is not there'), gpu.allocate(GROUP, 'what is not there')];
    this.#isFloat = isFloat;
    this.#workgroups = new MatmulSizes(gpu);
  }

  /** Whether a product can norm its rows itself. */
  takesNormed(matrix: GpuMatrix, numRows: number): boolean {
    const { numCols, numRows: numFeatures } = matrix;
    const isNarrow = numCols <= MOST_NORMED_COLS && numRows * numCols <= MOST_NORMED_IN_ALL;
    const isSmall = isNarrow && numFeatures <= MOST_NORMED_FEATURES;
    return isSmall && this.#isOfFew(matrix, numRows) && this.#workgroups.hasRoomForFew(matrix, numRows, true);
  }

  /** Whether `recordGated` can take the product: that of a gate's matrix, with as many rows again of up's. */
  takesGated(matrix: GpuMatrix, numRows: number): boolean {
    const isWhole = (matrix.numRows / 2) % GROUP === 0;
    return isWhole && this.#isOfFew(matrix, numRows) && this.#workgroups.hasRoomForFew(matrix, numRows, false);
  }

  record(product: GpuProduct, input: ProductInput): void {
    const { matrix, numRows } = product;
    if (this.#isOfFew(matrix, numRows)) this.#recordDecode(product, input);
    else if ('x' in input) throw new Error('rows are normed on the way to few products only');
    else if (this.#isFloat || matrix.packing.codeBits >= 16) this.#recordFloat(product, input);
    else if (liesInTiles(numRows)) this.#recordPrefill(product, input);
    else this.#recordBatch(product, input);
  }

  /** out = silu(gate) * up, of few rows. */
  recordGated(product: GpuProduct, input: ProductInput, out: OperandRanges): void {
    const { matrix, bias, numRows } = product;
    const threads = threadsPerFeature(matrix.numCols);
    const width = matrix.numRows / 2;
    // Whole groups of features.
    const { workgroup, numWorkgroups } = sizesOfFew(width, threads, 'x' in input, GROUP * threads);
    const kernel = known(product, 'gated', numRows, input, () => {
      const key = `gated ${shapeKey(matrix)} ${bias ? 'b' : ''} ${numRows} ${inputKey(input)}`;
      return this.#program.kernel(key, () => ({
        name: 'matmul-gated',
        parts: ['slots', 'weights', 'products', 'operand-slots', ...inputParts(input), 'row-sums', 'gate', 'operand'],
        constants: {
          ...weightConstants(matrix),
          ...inputConstants(input, matrix),
          ...{ NUM_FEATURES: matrix.numRows, THREADS: threads, ROWS: numRows, SIDES: 2, WORKGROUP: workgroup },
          ...{ WIDTH: width, OPERAND_BINDING: 5, TILED: false, BIAS: bias !== undefined },
        },
      }));
    });
    const bindings = [...this.#inputBindings(matrix, bias, input), out.floats, out.codes, out.scales];
    this.#program.dispatch(kernel, bindings, [numWorkgroups]);
  }

  #isOfFew({ packing }: GpuMatrix, numRows: number): boolean {
    return numRows <= FEW_ROWS && !this.#isFloat && packing.codeBits < 16;
  }

  #recordDecode(product: GpuProduct, input: ProductInput): void {
    const { matrix, bias, numRows } = product;
    const threads = threadsPerFeature(matrix.numCols);
    const { workgroup, numWorkgroups } = sizesOfFew(matrix.numRows, threads, 'x' in input);
    const kernel = known(product, 'few', numRows, input, () =>
      this.#kernel('matmul-decode', product, `${numRows} ${inputKey(input)}`, () => ({
        parts: ['products', 'operand-slots', ...inputParts(input), 'row-sums'],
        constants: {
          ...inputConstants(input, matrix),
          TILED: false,
          ...{ NUM_FEATURES: matrix.numRows, THREADS: threads, ROWS: numRows, SIDES: 1, WORKGROUP: workgroup },
        },
      })),
    );
    const bindings = [...this.#inputBindings(matrix, bias, input), ...this.#outBindings(product)];
    this.#program.dispatch(kernel, bindings, [numWorkgroups]);
  }

  #recordBatch(product: GpuProduct, input: OperandRanges): void {
    const { matrix, numRows } = product;
    const { rowsEach, featuresEach, workgroup } = this.#workgroups.batch(matrix);
    const threads = threadsPerFeature(matrix.numCols);
    const constants = { THREADS: threads, WORKGROUP: workgroup, ROWS: rowsEach, FEATURES_EACH: featuresEach };
    const features = (workgroup / threads) * featuresEach;
    const grid = [Math.ceil(numRows / rowsEach), Math.ceil(matrix.numRows / features)] as const;
    this.#recordMany('batch', product, input, constants, grid);
  }

  #recordPrefill(product: GpuProduct, input: OperandRanges): void {
    const { matrix, numRows } = product;
    const tile = this.#workgroups.tile(matrix);
    const constants = {
      ...{ TEAMS: tile.teams, BUFFERS: tile.buffers, ROWS_EACH: tile.rowsEach },
      ...{ ROW_THREADS: tile.rowThreads, FEATURE_THREADS: tile.featureThreads },
    };
    const { rows, features } = sizeOfTile(tile);
    const grid = gridOf(matrix.numRows, features, Math.ceil(numRows / rows));
    this.#recordMany('prefill', product, input, constants, grid);
  }

  /** A product whose kernel takes any number of rows. */
  #recordMany(
    job: 'batch' | 'prefill',
    product: GpuProduct,
    input: OperandRanges,
    constants: ShaderConstants,
    grid: Grid,
  ): void {
    const { matrix, bias, rows } = product;
    const kernel = known(product, job, 0, input, () =>
      this.#kernel(`matmul-${job}`, product, '', () => ({
        parts: ['products', 'operand-slots', 'input-operand'],
        constants: {
          TILED: job === 'prefill',
          SIZE_INDEX: sizeIndex(rows),
          ...constants,
        },
      })),
    );
    const bindings = [...this.#inputBindings(matrix, bias, input), ...this.#outBindings(product, this.#sizes)];
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
    name: 'matmul-decode' | 'matmul-batch' | 'matmul-prefill' | 'matmul-float',
    { matrix, bias, accumulate, rows, outs }: GpuProduct,
    key: string,
    describe: () => { readonly parts: readonly ShaderName[]; readonly constants: ShaderConstants },
  ): GpuKernel {
    const flags = `${bias ? 'b' : ''}${accumulate ? 'a' : ''}`;
    const ends = endsOf(outs);
    return this.#program.kernel(`${name} ${shapeKey(matrix)} ${ends.join()} ${rows} ${flags} ${key}`, () => {
      const { parts, constants } = describe();
      const output = { NUM_OUT: matrix.numRows, BIAS: bias !== undefined };
      const oneOutput = { OUT_WIDTH: ends[0], FIRST_OUT: matrix.firstRow, ACCUMULATE: accumulate };
      return {
        name,
        parts: ['slots', 'weights', ...parts, outs.length > 1 ? 'output-three' : 'output-one'],
        constants: {
          ...weightConstants(matrix),
          ...output,
          ...(outs.length > 1 ? { END_0: ends[0], END_1: ends[1] } : oneOutput),
          ...constants,
        },
      };
    });
  }
}

const JOBS = { few: 0, gated: 1, batch: 2, prefill: 3 } as const;

/**
 * The kernel that a product had before for the same kind of input, or a new one.
 *
 * @param numRows that it is compiled for; 0: any number
 */
function known(
  { kernels }: GpuProduct,
  job: keyof typeof JOBS,
  numRows: number,
  input: ProductInput,
  make: () => GpuKernel,
): GpuKernel {
  const epsilon = 'x' in input ? input.epsilon : undefined;
  const key = (numRows * 4 + JOBS[job]) * 2 + (epsilon === undefined ? 0 : 1);
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

/** Tells kernels apart, of pieces of matrices too. */
export function shapeKey({ firstRow, numRows, numCols, packing }: GpuMatrix): string {
  return `${firstRow}+${numRows}x${numCols} ${packing.codeKind}.${packing.scaleKind}`;
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

function gridOf(numFeatures: number, perWorkgroup: number, y: number): Grid {
  return [Math.ceil(numFeatures / perWorkgroup), y];
}
