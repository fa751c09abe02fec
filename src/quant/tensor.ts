import { KvantError } from '../errors.ts';

/** Numbers and their shape, row-major: the last axis is contiguous. A shape of no axes is one number. */
export interface Tensor {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** Like `Tensor`, with any list of numbers; they are rounded to float32. */
export interface TensorInput {
  readonly data: Float32Array | Float64Array | readonly number[];
  readonly shape: readonly number[];
}

/**
 * The tensor as float32, a copy only where it is not.
 *
 * @throws KvantError INVALID_INPUT if the shape is none or not that of the data, or a value is NaN, infinite, no number
 *   or beyond float32, with its index
 */
export function checkTensor(input: TensorInput): Tensor {
  // What a program without types might give.
  const { data, shape } = (input ?? {}) as { readonly [name in keyof TensorInput]: unknown };
  const size = sizeOfShape(shape);
  if (!isNumberList(data)) {
    throw invalidInput('data must be a Float32Array, a Float64Array or an array of numbers');
  }
  if (data.length !== size) {
    throw invalidInput(`data has ${data.length} values, but shape [${input.shape.join(', ')}] has ${size}`);
  }
  for (let i = 0; i < size; i++) {
    if (typeof data[i] !== 'number' || !Number.isFinite(Math.fround(data[i]))) {
      throw invalidInput(`value ${String(data[i])} at index ${i} is not a finite float32 number: replace or clamp it`);
    }
  }
  return { data: data instanceof Float32Array ? data : Float32Array.from(data), shape: [...input.shape] };
}

/** Elements of a tensor. @throws KvantError INVALID_INPUT if that is no shape */
export function sizeOfShape(shape: unknown): number {
  if (!Array.isArray(shape) || !shape.every((length) => Number.isSafeInteger(length) && length >= 0)) {
    throw invalidInput(
      `shape must be a list of whole numbers of at least 0; got ${JSON.stringify(shape) ?? 'nothing'}`,
    );
  }
  return (shape as number[]).reduce((size, length) => size * length, 1);
}

export function invalidInput(message: string): KvantError {
  return new KvantError('INVALID_INPUT', message);
}

function isNumberList(data: unknown): data is TensorInput['data'] {
  return data instanceof Float32Array || data instanceof Float64Array || Array.isArray(data);
}
