import { KvantError } from '../../errors.ts';
import { HandleTable } from '../handles.ts';
import type { Activation, ActivationUse, Operand, RowSet } from '../kernels.ts';
import type { GpuDevice, GpuRange } from './gpu-device.ts';
import { powerOfTwo } from './power-of-two.ts';

/** An operand's buffers: float32, int8 codes, their scales. */
export interface OperandRanges {
  readonly floats: GpuRange;
  readonly codes: GpuRange;
  readonly scales: GpuRange;
}

/** An activation that is read, and its buffer. */
export interface ReadableRange {
  readonly activation: Activation;
  readonly range: GpuRange;
  readonly use: ActivationUse;
}

/** Columns of a group of an operand, with a scale of two float32 numbers. */
export const GROUP = 16;
export const SCALE_BYTES = 8;
/** Operands have room for whole batches of rows, as matmul-batch.wgsl reads them, or for whole tiles. */
export const BATCH_ROWS = 4;
/** Up to so many rows are multiplied a batch at a time; of more, an operand lies in tiles (shaders/operand-slots.wgsl). */
const MOST_BATCHED_ROWS = 32;
const TILE_ROWS = 64;

/** Whether an operand of so many rows lies in tiles, for products that take it so. */
export function liesInTiles(numRows: number): boolean {
  return numRows > MOST_BATCHED_ROWS;
}

/** Rows that an operand has room for. */
function operandRows(numRows: number): number {
  const whole = liesInTiles(numRows) ? TILE_ROWS : BATCH_ROWS;
  return Math.ceil(numRows / whole) * whole;
}

/** Buffers of rows. Those of output rows, which are few and wide, get room when a step wants it. */
export class RowRanges {
  readonly #gpu: GpuDevice;
  readonly #maxRows: number;
  readonly #activations = new HandleTable<Activation, { range: GpuRange }>('activation');
  readonly #operands = new HandleTable<Operand, { ranges: OperandRanges }>('operand');
  readonly #outputs: ((numRows: number) => void)[] = [];
  readonly #readable: { readonly activation: Activation; readonly use: ActivationUse }[] = [];
  #numOutputs = 1;

  constructor(gpu: GpuDevice, maxRows: number) {
    this.#gpu = gpu;
    this.#maxRows = maxRows;
  }

  /** @throws KvantError OUT_OF_MEMORY, MODEL_UNSUPPORTED */
  createActivation(width: number, rows: RowSet, use: ActivationUse): Activation {
    const allocate = (numRows: number): GpuRange => this.#gpu.allocate(numRows * width * 4, 'activations');
    const data = { range: allocate(this.#rowsOf(rows)) };
    const handle = this.#activations.add({ width, rows } as Activation, data);
    if (use !== 'device') this.#readable.push({ activation: handle, use });
    if (rows === 'output') {
      this.#outputs.push((numRows) => {
        this.#gpu.free(data.range);
        data.range = allocate(numRows);
      });
    }
    return handle;
  }

  /** @throws KvantError OUT_OF_MEMORY, MODEL_UNSUPPORTED */
  createOperand(width: number, rows: RowSet): Operand {
    checkWidth(width);
    const data = { ranges: this.#allocateOperand(width, this.#rowsOf(rows)) };
    if (rows === 'output') {
      this.#outputs.push((numRows) => {
        for (const range of Object.values(data.ranges) as GpuRange[]) this.#gpu.free(range);
        data.ranges = this.#allocateOperand(width, numRows);
      });
    }
    return this.#operands.add({ width, rows } as Operand, data);
  }

  /** Makes room for so many output rows. What they held is lost. */
  ensureOutputs(numRows: number): void {
    if (numRows <= this.#numOutputs) return;
    this.#numOutputs = Math.min(this.#maxRows, powerOfTwo(numRows));
    for (const grow of this.#outputs) grow(this.#numOutputs);
  }

  activation(handle: Activation): GpuRange {
    return this.#activations.get(handle).range;
  }

  operand(handle: Operand): OperandRanges {
    return this.#operands.get(handle).ranges;
  }

  /** Activations that are read. */
  readable(): ReadableRange[] {
    return this.#readable.map((readable) => ({ ...readable, range: this.activation(readable.activation) }));
  }

  #rowsOf(rows: RowSet): number {
    return rows === 'step' ? this.#maxRows : this.#numOutputs;
  }

  #allocateOperand(width: number, numRows: number): OperandRanges {
    const length = operandRows(numRows) * width;
    return {
      floats: this.#gpu.allocate(numRows * width * 4, 'activations'),
      codes: this.#gpu.allocate(length, 'activations'),
      scales: this.#gpu.allocate((length / GROUP) * SCALE_BYTES, 'activations'),
    };
  }
}

function checkWidth(width: number): void {
  if (width % GROUP === 0) return;
  const message = `${width} channels: the webgpu backend needs a multiple of ${GROUP}; use --backend wasm`;
  throw new KvantError('MODEL_UNSUPPORTED', message);
}
