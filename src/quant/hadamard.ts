/**
 * Multiplies `size` values from `start` on by the Walsh-Hadamard matrix of that size, in natural order, divided by
 * sqrt(size), in place. The matrix is orthogonal and its own inverse. The operations are those of docs/page-format.md,
 * each rounded to float32, so that every implementation gives the same bits.
 *
 * @param size a power of two
 * @throws RangeError if it is not, or if the values do not lie within `x`
 */
export function hadamardFloat32(x: Float32Array, start: number, size: number): void {
  checkExtent(x.length, start, size);
  // A sum or difference of two float32 numbers, rounded when stored into the array, is the float32 operation: double
  // has enough digits that rounding twice is rounding once.
  butterflies(x, start, size);
  const factor = hadamardFactor(size);
  for (let i = start; i < start + size; i++) x[i] *= factor;
}

/** The same in float64. @throws RangeError as `hadamardFloat32` */
export function hadamardFloat64(x: Float64Array, start: number, size: number): void {
  checkExtent(x.length, start, size);
  butterflies(x, start, size);
  const factor = 1 / Math.sqrt(size);
  for (let i = start; i < start + size; i++) x[i] *= factor;
}

/** What the float32 rotation multiplies by at its end: the float32 nearest to 1 / sqrt(size). */
export function hadamardFactor(size: number): number {
  return Math.fround(1 / Math.sqrt(size));
}

function butterflies(x: Float32Array | Float64Array, start: number, size: number): void {
  for (let stride = 1; stride < size; stride *= 2) {
    for (let block = start; block < start + size; block += 2 * stride) {
      for (let i = block; i < block + stride; i++) {
        const a = x[i];
        const b = x[i + stride];
        x[i] = a + b;
        x[i + stride] = a - b;
      }
    }
  }
}

function checkExtent(length: number, start: number, size: number): void {
  if (!Number.isInteger(size) || size < 1 || (size & (size - 1)) !== 0) {
    throw new RangeError(`a Hadamard rotation needs a power of two, not ${size}`);
  }
  if (start < 0 || start + size > length) {
    throw new RangeError(`values ${start} to ${start + size} are not within an array of ${length}`);
  }
}
