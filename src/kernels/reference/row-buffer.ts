import type { RowSet } from '../kernels.ts';

/** A [rows, width] matrix of float64: what stands behind an activation or an operand. */
export class RowBuffer {
  readonly width: number;
  readonly rows: RowSet;
  #values: Float64Array;

  /** @param numRows rows to start with */
  constructor(width: number, rows: RowSet, numRows: number) {
    this.width = width;
    this.rows = rows;
    this.#values = new Float64Array(width * numRows);
  }

  get values(): Float64Array {
    return this.#values;
  }

  /** Makes room for `numRows` rows; what was there is lost if it was less. */
  ensureRows(numRows: number): void {
    if (this.#values.length < numRows * this.width) this.#values = new Float64Array(numRows * this.width);
  }

  /** A view of a row. */
  row(index: number): Float64Array {
    return this.#values.subarray(index * this.width, (index + 1) * this.width);
  }
}
