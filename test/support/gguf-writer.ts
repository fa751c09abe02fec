import { rowBytes, WEIGHT_TYPES } from '../../src/kernels/weight-types.ts';
import type { WeightType } from '../../src/kernels/weight-types.ts';

/** Numbers become uint32 where they can, else float32; bigints uint64; an array takes the type of its first element. */
export type GgufValue = string | boolean | number | bigint | readonly GgufValue[] | GgufScalar;

/** A number of a certain type. */
export type GgufScalar = { readonly float32: number } | { readonly int32: number };

export interface GgufTensorSpec {
  readonly name: string;
  /** A number writes that type id as it is, for types that Kvant does not read. */
  readonly type: WeightType | number;
  /** The contiguous dimension first. */
  readonly shape: readonly (number | bigint)[];
  /** Zeros where absent; of any length, also a wrong one. */
  readonly bytes?: Uint8Array;
  /** From the start of tensor data; right after the tensor before it where absent. */
  readonly offsetBytes?: number | bigint;
}

export interface GgufSpec {
  /** Pairs, so that a key can be there twice. */
  readonly metadata: readonly (readonly [string, GgufValue])[];
  readonly tensors: readonly GgufTensorSpec[];
  readonly alignmentBytes?: number;
  readonly version?: number;
}

const UINT32 = 4;
const INT32 = 5;
const FLOAT32 = 6;
const BOOL = 7;
const STRING = 8;
const ARRAY = 9;
const UINT64 = 10;

/** Writes a GGUF file (little-endian). It checks nothing, so that tests can write damaged files. */
export function writeGguf(spec: GgufSpec): Uint8Array<ArrayBuffer> {
  const alignment = spec.alignmentBytes ?? 32;
  const header = [
    Buffer.from('GGUF'),
    uint32(spec.version ?? 3),
    uint64(spec.tensors.length),
    uint64(spec.metadata.length),
  ];
  for (const [key, value] of spec.metadata) {
    header.push(string(key), uint32(typeOf(value)), valueBytes(value));
  }
  const data: Buffer[] = [];
  let dataBytes = 0;
  for (const tensor of spec.tensors) {
    const { name, type, shape, bytes = Buffer.alloc(tensorBytes(tensor)) } = tensor;
    const id = typeof type === 'number' ? type : WEIGHT_TYPES[type].id;
    header.push(
      string(name),
      uint32(shape.length),
      ...shape.map(uint64),
      uint32(id),
      uint64(tensor.offsetBytes ?? dataBytes),
    );
    data.push(Buffer.from(bytes), padding(bytes.length, alignment));
    dataBytes += bytes.length + padding(bytes.length, alignment).length;
  }
  const headerBytes = header.reduce((sum, part) => sum + part.length, 0);
  return new Uint8Array(Buffer.concat([...header, padding(headerBytes, alignment), ...data]));
}

function tensorBytes({ type, shape }: GgufTensorSpec): number {
  if (typeof type === 'number') return 0;
  const [numCols, ...outer] = shape.map(Number);
  if (numCols % WEIGHT_TYPES[type].blockElements !== 0) return 0;
  const numBytes = outer.reduce((product, length) => product * length, rowBytes(type, numCols));
  // A test of an absurd shape needs no such data.
  return numBytes < 2 ** 30 ? numBytes : 0;
}

function typeOf(value: GgufValue): number {
  if (typeof value === 'string') return STRING;
  if (typeof value === 'boolean') return BOOL;
  if (typeof value === 'bigint') return UINT64;
  if (typeof value === 'number') return isUint32(value) ? UINT32 : FLOAT32;
  if ('float32' in value) return FLOAT32;
  return 'int32' in value ? INT32 : ARRAY;
}

function valueBytes(value: GgufValue): Buffer {
  if (typeof value === 'string') return string(value);
  if (typeof value === 'boolean') return Buffer.from([value ? 1 : 0]);
  if (typeof value === 'bigint') return uint64(value);
  if (typeof value === 'number') return isUint32(value) ? uint32(value) : float32(value);
  if ('float32' in value) return float32(value.float32);
  if ('int32' in value) return uint32(value.int32 >>> 0);
  const elementType = value.length > 0 ? typeOf(value[0]) : UINT32;
  return Buffer.concat([uint32(elementType), uint64(value.length), ...value.map(valueBytes)]);
}

function isUint32(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < 2 ** 32;
}

function string(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([uint64(bytes.length), bytes]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function uint64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function float32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}

function padding(length: number, multiple: number): Buffer {
  return Buffer.alloc((multiple - (length % multiple)) % multiple);
}
