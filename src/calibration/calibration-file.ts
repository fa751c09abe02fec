import * as z from 'zod';
import { KvantError } from '../errors.ts';
import { f16BitsClamped, f16Value } from '../quant/f16.ts';
import type { Calibration, Upgrade } from './calibration.ts';
import { headTransforms } from './transforms.ts';

/** A calibration without what is computed from it. */
export interface CalibrationSource extends Omit<Calibration, 'k' | 'v'> {
  /** [numLayers * numKvHeads, headDim, headDim], row-major. */
  readonly k: Float32Array;
  readonly v: Float32Array;
}

const VERSION = 1;
const count = z.int().min(1);
const base64 = z.string().regex(/^[A-Za-z0-9+/]*={0,2}$/, 'must be base64');

const schema = z.strictObject({
  kvantCalibration: z.literal(VERSION, `must be ${VERSION}, the version that this Kvant reads`),
  model: z.strictObject({
    fingerprint: z.string().regex(/^sha256:[0-9a-f]{64}$/, 'must be sha256: and 64 hexadecimal digits'),
    numLayers: count,
    numKvHeads: count,
    headDim: count,
  }),
  source: z.string(),
  keyTransforms: base64,
  keyFeedback: base64,
  valueTransforms: base64,
  upgrades: z.array(z.string().regex(/^[kv]\d+$/, 'must be k or v and a layer')),
});

/**
 * A calibration as the text of a file: JSON with matrices as base64 of little-endian halves, row by row. Of the feedback, which is strictly
 * lower triangular, the part below the diagonal.
 */
export function formatCalibration({
  fingerprint,
  shape,
  source,
  k,
  v,
  keyFeedback,
  upgrades,
}: CalibrationSource): string {
  const { numLayers, numKvHeads, headDim } = shape;
  const file: z.infer<typeof schema> = {
    kvantCalibration: VERSION,
    model: { fingerprint, numLayers, numKvHeads, headDim },
    source,
    keyTransforms: encodeHalves(k),
    keyFeedback: encodeHalves(keyFeedback.filter((_, i) => isBelowDiagonal(i, headDim))),
    valueTransforms: encodeHalves(v),
    upgrades: upgrades.map(({ kind, layer }) => `${kind}${layer}`),
  };
  return `${JSON.stringify(file, undefined, 1)}\n`;
}

/**
 * Reads what `formatCalibration` wrote.
 *
 * @param name of the file, for messages
 * @throws KvantError CALIBRATION_INVALID that says what is wrong with it
 */
export function parseCalibration(name: string, text: string): Calibration {
  const file = parseFile(name, text);
  const { fingerprint, ...shape } = file.model;
  const size = shape.headDim ** 2;
  const numMatrices = shape.numLayers * shape.numKvHeads;
  const matrices = (field: 'keyTransforms' | 'valueTransforms'): Float32Array =>
    decodeHalves(name, field, file[field], numMatrices * size);
  const below = decodeHalves(name, 'keyFeedback', file.keyFeedback, (numMatrices * (size - shape.headDim)) / 2);
  let next = 0;
  const keyFeedback = new Float32Array(numMatrices * size).map((_, i) =>
    isBelowDiagonal(i, shape.headDim) ? below[next++] : 0,
  );
  try {
    return {
      fingerprint,
      shape,
      source: file.source,
      k: headTransforms(shape.headDim, matrices('keyTransforms')),
      v: headTransforms(shape.headDim, matrices('valueTransforms')),
      keyFeedback,
      upgrades: file.upgrades.map((upgrade) => parseUpgrade(name, upgrade, shape.numLayers)),
    };
  } catch (error) {
    throw error instanceof RangeError ? invalid(name, error.message, error) : error;
  }
}

function parseFile(name: string, text: string): z.infer<typeof schema> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid(name, 'it is no JSON', cause);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw invalid(name, `${issue.path.join('.') || 'it'}: ${issue.message}`);
}

function parseUpgrade(name: string, upgrade: string, numLayers: number): Upgrade {
  const layer = Number(upgrade.slice(1));
  if (layer < numLayers) return { kind: upgrade.startsWith('k') ? 'k' : 'v', layer };
  throw invalid(name, `upgrades name layer ${layer} of ${numLayers}`);
}

function isBelowDiagonal(index: number, headDim: number): boolean {
  return index % headDim < Math.floor(index / headDim) % headDim;
}

function encodeHalves(values: Float32Array): string {
  const bytes = new DataView(new ArrayBuffer(2 * values.length));
  values.forEach((value, i) => bytes.setUint16(2 * i, f16BitsClamped(value), true));
  // In pieces: a call takes so many arguments only.
  let text = '';
  const PIECE = 0x6000;
  for (let start = 0; start < bytes.byteLength; start += PIECE) {
    const piece = new Uint8Array(bytes.buffer, start, Math.min(PIECE, bytes.byteLength - start));
    text += btoa(String.fromCharCode(...piece));
  }
  return text;
}

function decodeHalves(name: string, field: string, text: string, length: number): Float32Array {
  const binary = atob(text);
  if (binary.length !== 2 * length) throw invalid(name, `${field} has ${binary.length / 2} numbers, not ${length}`);
  return new Float32Array(length).map((_, i) => {
    const value = f16Value(binary.charCodeAt(2 * i) | (binary.charCodeAt(2 * i + 1) << 8));
    if (!Number.isFinite(value)) throw invalid(name, `${field} holds a number that is not finite`);
    return value;
  });
}

function invalid(name: string, reason: string, cause?: unknown): KvantError {
  const message = `"${name}" is no calibration that can be used: ${reason}. Make it again with "kvant calibrate"`;
  return new KvantError('CALIBRATION_INVALID', message, { cause });
}
