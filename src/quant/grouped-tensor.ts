import { CODE_BITS, packPlanes, planeRowBytes, planesOf, unpackPlanes } from './bit-planes.ts';
import type { CodeBits } from './bit-planes.ts';
import type { GroupSize, Grouping } from './granularity.ts';
import { codeRange, decodeGroup, encodeGroup, fitGroupScale } from './group-scale.ts';
import { invalidInput, sizeOfShape } from './tensor.ts';
import type { Tensor } from './tensor.ts';

/**
 * A tensor quantized in groups. Plain data: it can be cloned to a worker and serialised. A row is what lies along `axis`;
 * rows are in the order of the other axes, and groups in the order of rows.
 */
export interface GroupedTensor {
  readonly granularity: 'groups';
  readonly shape: readonly number[];
  readonly bits: CodeBits;
  /** From 0. */
  readonly axis: number;
  readonly groupSize: GroupSize;
  readonly symmetric: boolean;
  /** Codes, [rows, length of the axis], in planes of 4, 2 and 1 bits (`packPlanes`), most significant first. */
  readonly planes: readonly Uint8Array[];
  /** Distance of neighbouring levels, a group each. */
  readonly scales: Float32Array;
  /** What code 0 stands for, a group each; none where `symmetric`. */
  readonly zeroPoints: Float32Array;
  /** Everything counted: codes, padding of rows to 32, scales and zero points. 0 for an empty tensor. */
  readonly bitsPerElement: number;
}

/** Quantizes a checked tensor; `quantize` tells how. */
export function quantizeGroups(tensor: Tensor, grouping: Grouping): GroupedTensor {
  const { bits, symmetric } = grouping;
  const rows = rowShape(tensor.shape, grouping.axis);
  const values = toRows(tensor.data, rows);
  const codes = new Uint8Array(values.length);
  const range = codeRange(bits, symmetric);
  const groups = groupBounds(rows, grouping.groupSize);
  const fits = groups.map(([start, end]) => {
    const group = values.subarray(start, end);
    const fit = fitGroupScale(group, symmetric, range);
    encodeGroup(group, fit, range, codes.subarray(start, end));
    return fit;
  });
  const planes = packPlanes(codes, bits, rows.numRows, rows.rowLength);
  const scales = Float32Array.from(fits, ({ scale }) => scale);
  const zeroPoints = Float32Array.from(symmetric ? [] : fits, ({ zeroPoint }) => zeroPoint);
  const numBytes = [...planes, scales, zeroPoints].reduce((sum, { byteLength }) => sum + byteLength, 0);
  const bitsPerElement = values.length === 0 ? 0 : (8 * numBytes) / values.length;
  return { granularity: 'groups', shape: tensor.shape, ...grouping, planes, scales, zeroPoints, bitsPerElement };
}

/** @throws KvantError INVALID_INPUT if fields do not fit each other */
export function dequantizeGroups(quantized: GroupedTensor): Tensor {
  const { shape, bits, axis, groupSize, symmetric, planes, scales, zeroPoints } = quantized;
  const rows = checkGrouped(quantized);
  const codes = unpackPlanes(planes, bits, rows.numRows, rows.rowLength);
  const values = new Float32Array(codes.length);
  const range = codeRange(bits, symmetric);
  groupBounds(rows, groupSize).forEach(([start, end], group) => {
    const fit = { scale: scales[group], zeroPoint: symmetric ? 0 : zeroPoints[group] };
    decodeGroup(codes.subarray(start, end), fit, range, values.subarray(start, end));
  });
  return { data: fromRows(values, rowShape(shape, axis)), shape: [...shape] };
}

/** A tensor as rows along one axis: element i of row (o, n) lies at (o * rowLength + i) * stride + n. */
interface RowShape {
  readonly numRows: number;
  readonly rowLength: number;
  readonly stride: number;
}

function rowShape(shape: readonly number[], axis: number): RowShape {
  const rowLength = shape.length === 0 ? 1 : shape[axis];
  const stride = sizeOfShape(shape.slice(axis + 1));
  return { numRows: sizeOfShape(shape.slice(0, axis)) * stride, rowLength, stride };
}

function toRows(data: Float32Array, rows: RowShape): Float32Array {
  if (rows.stride === 1) return data;
  const values = new Float32Array(data.length);
  eachElement(rows, (inRows, inTensor) => {
    values[inRows] = data[inTensor];
  });
  return values;
}

function fromRows(values: Float32Array, rows: RowShape): Float32Array {
  if (rows.stride === 1) return values;
  const data = new Float32Array(values.length);
  eachElement(rows, (inRows, inTensor) => {
    data[inTensor] = values[inRows];
  });
  return data;
}

function eachElement(
  { numRows, rowLength, stride }: RowShape,
  visit: (inRows: number, inTensor: number) => void,
): void {
  for (let row = 0; row < numRows; row++) {
    const start = Math.floor(row / stride) * rowLength * stride + (row % stride);
    for (let i = 0; i < rowLength; i++) visit(row * rowLength + i, start + i * stride);
  }
}

/** Start and end of each group in the values of all rows; no group is empty. */
function groupBounds({ numRows, rowLength }: RowShape, groupSize: GroupSize): (readonly [number, number])[] {
  const size = numRows * rowLength;
  if (size === 0) return [];
  if (groupSize === 'tensor') return [[0, size]];
  const length = groupSize === 'axis' ? rowLength : Math.min(groupSize, rowLength);
  const bounds: (readonly [number, number])[] = [];
  for (let end = rowLength; end <= size; end += rowLength) {
    for (let start = end - rowLength; start < end; start += length) bounds.push([start, Math.min(start + length, end)]);
  }
  return bounds;
}

function checkGrouped({
  shape,
  bits,
  axis,
  groupSize,
  symmetric,
  planes,
  scales,
  zeroPoints,
}: GroupedTensor): RowShape {
  sizeOfShape(shape);
  if (!CODE_BITS.includes(bits)) throw invalidInput(`a quantized tensor has no codes of ${String(bits)} bits`);
  if (!Number.isInteger(axis) || axis < 0 || axis >= Math.max(shape.length, 1)) {
    throw invalidInput(`a quantized tensor of ${shape.length} axes has no axis ${String(axis)}`);
  }
  if (!['tensor', 'axis'].includes(String(groupSize)) && !(Number.isSafeInteger(groupSize) && Number(groupSize) > 0)) {
    throw invalidInput(`a quantized tensor has no groups of ${String(groupSize)}`);
  }
  const rows = rowShape(shape, axis);
  const numGroups = groupBounds(rows, groupSize).length;
  checkFloats('scales', scales, numGroups);
  checkFloats('zeroPoints', zeroPoints, symmetric ? 0 : numGroups);
  const lengths = planesOf(bits).map((planeBits) => rows.numRows * planeRowBytes(planeBits, rows.rowLength));
  const found = Array.isArray(planes)
    ? planes.map((plane: unknown) => (plane instanceof Uint8Array ? plane.length : NaN))
    : [];
  if (found.join() !== lengths.join()) {
    throw invalidInput(
      `planes must have ${lengths.join(' and ')} bytes, as a Uint8Array each; got ${found.join(' and ')}`,
    );
  }
  return rows;
}

function checkFloats(name: string, values: unknown, length: number): void {
  if (!(values instanceof Float32Array) || values.length !== length) {
    throw invalidInput(`${name} must be a Float32Array of ${length}, one number a group`);
  }
  const index = values.findIndex((value) => !Number.isFinite(value));
  if (index >= 0) throw invalidInput(`${name}[${index}] is ${values[index]}, not a finite number`);
}
