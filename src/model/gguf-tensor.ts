import { GGMLQuantizationType } from '@huggingface/gguf';
import type { GGUFTensorInfo } from '@huggingface/gguf';
import { KvantError } from '../errors.ts';
import { WEIGHT_TYPES } from '../kernels/weight-types.ts';
import type { WeightType } from '../kernels/weight-types.ts';
import type { GgufHeader } from './gguf-header.ts';
import { formatBytes, formatShape, quote } from './messages.ts';

/** A tensor of a GGUF file whose type, shape and place have been checked. */
export interface GgufTensor {
  readonly name: string;
  readonly type: WeightType;
  /** The contiguous dimension first; dimensions of 1 at the end are left out. */
  readonly shape: readonly number[];
  readonly numElements: number;
  readonly numBytes: number;
  /** From the start of the file. */
  readonly offsetBytes: number;
}

const MAX_DIMENSIONS = 4;
const WEIGHT_TYPES_BY_ID: ReadonlyMap<number, WeightType> = new Map(
  Object.entries(WEIGHT_TYPES).map(([name, { id }]) => [id, name as WeightType]),
);

/**
 * Checks every tensor of a header before a byte of one is read. As in ggml's own reader (gguf.cpp), each tensor starts
 * where the one before it ends, rounded up to the alignment: none overlap, and if the last is in the file, all are.
 *
 * @returns tensors by name, in order of their place in the file
 * @throws KvantError MODEL_INVALID, MODEL_UNSUPPORTED, MODEL_TRUNCATED
 */
export function checkTensors(fileName: string, fileBytes: number, header: GgufHeader): Map<string, GgufTensor> {
  const tensors = new Map<string, GgufTensor>();
  let endBytes = header.dataOffsetBytes;
  for (const info of header.tensorInfos) {
    const tensor = checkTensor(fileName, header, info);
    const expectedOffset = Math.ceil(endBytes / header.alignmentBytes) * header.alignmentBytes;
    if (tensor.offsetBytes !== expectedOffset) {
      const found = `starts at byte ${tensor.offsetBytes}, expected ${expectedOffset}`;
      throw invalid(fileName, tensor.name, `${found}, right after the tensor before it`);
    }
    if (tensors.has(tensor.name)) throw invalid(fileName, tensor.name, 'is there twice');
    tensors.set(tensor.name, tensor);
    endBytes = tensor.offsetBytes + tensor.numBytes;
  }
  if (endBytes > fileBytes) {
    const message =
      `${quote(fileName)} is cut short: the file has ${formatBytes(fileBytes)}, its tensors need ` +
      `${formatBytes(endBytes)}. Download it again`;
    throw new KvantError('MODEL_TRUNCATED', message);
  }
  return tensors;
}

function checkTensor(fileName: string, header: GgufHeader, info: GGUFTensorInfo): GgufTensor {
  const { name } = info;
  const type = checkType(fileName, info);
  const { blockElements, blockBytes } = WEIGHT_TYPES[type];
  const [numCols, ...outer] = checkShape(fileName, info);
  if (numCols % blockElements !== 0) {
    const reason = `has rows of ${numCols} weights, but ${type} packs ${blockElements} into a block`;
    throw invalid(fileName, name, reason);
  }
  const numElements = outer.reduce((product, length) => product * length, numCols);
  const numBytes = (numElements / blockElements) * blockBytes;
  const offsetBytes = header.dataOffsetBytes + Number(info.offset);
  while (outer.at(-1) === 1) outer.pop();
  return { name, type, shape: [numCols, ...outer], numElements, numBytes, offsetBytes };
}

function checkType(fileName: string, info: GGUFTensorInfo): WeightType {
  const type = WEIGHT_TYPES_BY_ID.get(info.dtype);
  if (type) return type;
  const found = GGMLQuantizationType[info.dtype] ?? `number ${info.dtype}`;
  const message =
    `tensor ${quote(info.name)} of ${quote(fileName)} has the type ${found}, which Kvant does not read: ` +
    `use a file in ${Object.keys(WEIGHT_TYPES).join(', ')}`;
  throw new KvantError('MODEL_UNSUPPORTED', message);
}

function checkShape(fileName: string, info: GGUFTensorInfo): number[] {
  const { shape } = info;
  const numElements = shape.reduce((product, length) => product * length, 1n);
  const plausible = shape.length >= 1 && shape.length <= MAX_DIMENSIONS && numElements >= 1n;
  // 8 bytes an element at most, so byte counts stay exact as well.
  if (plausible && numElements <= BigInt(Number.MAX_SAFE_INTEGER) / 8n) return shape.map(Number);
  throw invalid(fileName, info.name, `has the impossible shape ${formatShape(shape)}`);
}

function invalid(fileName: string, tensorName: string, reason: string): KvantError {
  const where = `tensor ${quote(tensorName)} of ${quote(fileName)}`;
  return new KvantError('MODEL_INVALID', `${where} ${reason}: the file is damaged, download or convert it again`);
}
