import type { Activation, MatmulOutput, Matrix, Operand, Vector } from '../kernels.ts';
import type { HandleTable } from '../handles.ts';
import type { GpuDevice, GpuRange } from './gpu-device.ts';
import type { GpuProgram } from './gpu-program.ts';
import type { GpuMatrix } from './gpu-weights.ts';
import { canJoin, joinMatrices, joinVectors } from './joined-matrices.ts';
import {
  normConstants,
  type GpuProduct,
  type MatmulKernels,
  type ProductInput,
  type ProductKernels,
} from './matmul-kernels.ts';
import { GROUP, liesInTiles, type RowRanges } from './row-ranges.ts';

/** Threads of SwiGLU, one for 16 columns. */
const THREADS = 64;

export interface DenseParts {
  readonly gpu: GpuDevice;
  readonly program: GpuProgram;
  readonly matmuls: MatmulKernels;
  readonly rows: RowRanges;
  readonly matrices: HandleTable<Matrix, readonly GpuMatrix[]>;
  readonly vectors: HandleTable<Vector, GpuRange>;
}

/** A product of a call: all of its outputs, where they could be joined, or one, or a piece of one. */
interface Prepared {
  readonly matrix: GpuMatrix;
  readonly bias: GpuRange | undefined;
  readonly outputs: readonly MatmulOutput[];
  readonly kernels: ProductKernels;
}

interface HeldNorm {
  readonly kind: 'norm';
  readonly x: Activation;
  readonly weight: Vector;
  readonly epsilon: number;
  readonly out: Operand;
  readonly numRows: number;
}

interface HeldProduct {
  readonly kind: 'product';
  readonly product: GpuProduct;
  readonly input: ProductInput;
  readonly outputs: readonly MatmulOutput[];
}

/**
 * Norm, products and SwiGLU. With few rows a dispatch costs more than its work: an operation is held back until the next one is known, and done
 * along with it where that can be.
 */
export class DenseKernels {
  readonly #parts: DenseParts;
  readonly #prepared = new WeakMap<readonly MatmulOutput[], readonly Prepared[]>();
  #held: HeldNorm | HeldProduct | undefined;

  constructor(parts: DenseParts) {
    this.#parts = parts;
  }

  rmsNorm(x: Activation, weight: Vector, epsilon: number, out: Operand, numRows: number): void {
    this.settle();
    this.#held = { kind: 'norm', x, weight, epsilon, out, numRows };
  }

  matmul(x: Operand, outputs: readonly MatmulOutput[], numRows: number): void {
    const prepared = this.#prepare(outputs);
    const input = this.#takeInput(x, prepared, numRows);
    if (numRows === 0) return;
    const { rows, matmuls } = this.#parts;
    for (const { matrix, bias, outputs: own, kernels } of prepared) {
      const outs = own.map(({ out }) => ({ range: rows.activation(out), numFeatures: out.width }));
      const product = { matrix, bias, outs, accumulate: own[0].accumulate ?? false, rows: x.rows, numRows, kernels };
      if (own.length === 2 && matmuls.takesGated(matrix, numRows)) {
        this.#held = { kind: 'product', product, input, outputs: own };
      } else {
        matmuls.record(product, input);
      }
    }
  }

  swiGlu(gate: Activation, up: Activation, out: Operand, numRows: number): void {
    const { rows, matmuls, program } = this.#parts;
    const held = this.#held;
    if (held?.kind === 'product' && held.outputs[0].out === gate && held.outputs[1].out === up) {
      this.#held = undefined;
      matmuls.recordGated(held.product, held.input, rows.operand(out));
      return;
    }
    this.settle();
    if (numRows === 0) return;
    const { width } = gate;
    const isTiled = liesInTiles(numRows);
    const kernel = program.kernel(`swiglu ${width} ${isTiled}`, () => ({
      name: 'swiglu',
      parts: ['gate', 'slots', 'operand-slots', 'quantize', 'operand'],
      constants: { WIDTH: width, OPERAND_BINDING: 0, TILED: isTiled },
    }));
    const bindings = [...this.#operandBindings(out), rows.activation(gate), rows.activation(up)];
    program.dispatch(kernel, bindings, [Math.ceil(width / GROUP / THREADS), numRows]);
  }

  /** Records what has been held back. */
  settle(): void {
    const held = this.#held;
    this.#held = undefined;
    if (held?.kind === 'norm') this.#recordNorm(held);
    if (held?.kind === 'product') this.#parts.matmuls.record(held.product, held.input);
  }

  /** Forgets what has been held back. */
  discard(): void {
    this.#held = undefined;
  }

  /** The norm that has been held back, if the products can do it along; else the operand, all that makes it being recorded. */
  #takeInput(x: Operand, prepared: readonly Prepared[], numRows: number): ProductInput {
    const held = this.#held;
    const { rows, vectors, matmuls } = this.#parts;
    if (
      held?.kind === 'norm' &&
      held.out === x &&
      prepared.every(({ matrix }) => matmuls.takesNormed(matrix, numRows))
    ) {
      this.#held = undefined;
      return { x: rows.activation(held.x), weight: vectors.get(held.weight), epsilon: held.epsilon };
    }
    this.settle();
    return rows.operand(x);
  }

  #recordNorm({ x, weight, epsilon, out, numRows }: HeldNorm): void {
    if (numRows === 0) return;
    const { program, rows, vectors } = this.#parts;
    const isTiled = liesInTiles(numRows);
    const kernel = program.kernel(`rms ${x.width} ${epsilon} ${isTiled}`, () => ({
      name: 'rms-norm',
      parts: ['slots', 'operand-slots', 'quantize', 'norm', 'operand'],
      constants: { ...normConstants(x.width, epsilon), WIDTH: x.width, OPERAND_BINDING: 0, TILED: isTiled },
    }));
    program.dispatch(kernel, [...this.#operandBindings(out), rows.activation(x), vectors.get(weight)], [numRows]);
  }

  #operandBindings(out: Operand): GpuRange[] {
    const { floats, codes, scales } = this.#parts.rows.operand(out);
    return [floats, codes, scales];
  }

  /** Looks a call's matrices up, once, and joins them where that can be. */
  #prepare(outputs: readonly MatmulOutput[]): readonly Prepared[] {
    const known = this.#prepared.get(outputs);
    if (known) return known;
    const prepared = this.#join(outputs) ?? outputs.flatMap((output) => this.#pieces(output));
    this.#prepared.set(outputs, prepared);
    return prepared;
  }

  #pieces(output: MatmulOutput): Prepared[] {
    const { matrices, vectors } = this.#parts;
    const bias = output.bias && vectors.get(output.bias);
    return matrices.get(output.weights).map((matrix) => ({ matrix, bias, outputs: [output], kernels: new Map() }));
  }

  #join(outputs: readonly MatmulOutput[]): readonly Prepared[] | undefined {
    const { gpu, program, vectors } = this.#parts;
    const pieces = outputs.map(({ weights }) => this.#parts.matrices.get(weights));
    const matrices = pieces.flat();
    const biases = outputs.flatMap(({ bias }) => (bias ? [vectors.get(bias)] : []));
    const haveBiases = biases.length === 0 || biases.length === outputs.length;
    const accumulates = outputs.some(({ accumulate }) => accumulate);
    const areWhole = pieces.every(({ length }) => length === 1);
    if (!haveBiases || accumulates || !areWhole || !canJoin(gpu, matrices)) return undefined;
    // Nothing that is under way may need the places that they leave.
    program.submit();
    const lengths = matrices.map(({ numRows }) => numRows);
    const bias = biases.length > 0 ? joinVectors(gpu, biases, lengths) : undefined;
    return [{ matrix: joinMatrices(gpu, matrices), bias, outputs, kernels: new Map() }];
  }
}
