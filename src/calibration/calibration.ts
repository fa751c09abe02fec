import { bitsPerElement, sealedPageLayout, type KvShape } from '../cache/page-layout.ts';
import { KvantError } from '../errors.ts';
import { CODE_BITS, type CodeBits } from '../quant/bit-planes.ts';
import type { HeadTransforms } from '../quant/head-transform.ts';
import { parseKvFormat, type KvFormat, type TileBits, type TileKind } from '../quant/kv-format.ts';

/** A step of a bit map: this layer's tiles of this kind get the next wider codes. */
export interface Upgrade {
  readonly kind: TileKind;
  readonly layer: number;
}

/** What was learnt about a model's keys and values, so that its cache loses less. */
export interface Calibration {
  /** Tells the model's weights from others, see model/fingerprint.ts. */
  readonly fingerprint: string;
  readonly shape: KvShape;
  /** What was learnt from, for people. */
  readonly source: string;
  /** What heads are multiplied by before they are stored. */
  readonly k: HeadTransforms;
  readonly v: HeadTransforms;
  /** See `TileFormat.feedback`. */
  readonly keyFeedback: Float32Array;
  /**
   * The best use of bits, in order: all tiles start with codes of one bit, and each step widens those of one layer and kind. A map of
   * bits under a budget is the longest start of the list that fits. Empty where none was learnt.
   */
  readonly upgrades: readonly Upgrade[];
}

/** Refuses a calibration of other weights. @throws KvantError CALIBRATION_MISMATCH */
export function checkCalibration(
  { shape, fingerprint, source }: Pick<Calibration, 'shape' | 'fingerprint' | 'source'>,
  modelFingerprint: string,
  modelShape: KvShape,
): void {
  const fields = ['numLayers', 'numKvHeads', 'headDim'] as const;
  if (fingerprint === modelFingerprint && fields.every((field) => shape[field] === modelShape[field])) return;
  throw new KvantError(
    'CALIBRATION_MISMATCH',
    `the calibration (${source}) was learnt from other weights, ${shorten(fingerprint)}, than this model's, ` +
      `${shorten(modelFingerprint)}: make one of this model with "kvant calibrate", or give calibration "none"`,
  );
}

/** Bytes of all that heads are multiplied by, and of the feedback. */
export function matrixBytes({ k, v, keyFeedback }: Calibration): number {
  const matrices = [k.forward, k.inverse, v.forward, v.inverse, keyFeedback];
  return matrices.reduce((total, { byteLength }) => total + byteLength, 0);
}

function shorten(fingerprint: string): string {
  return `${fingerprint.slice(0, 'sha256:'.length + 8)}…`;
}

/** Of formats whose widths a calibration chooses: `mix2.5` has at most 2.5 bits an element, metadata counted. */
const MIX_NAME = /^mix(\d+(?:\.\d+)?)$/;

/** Whether a format can be had only with a calibration. */
export function needsCalibration(name: string): boolean {
  return MIX_NAME.test(name);
}

/** Whether a format loses less with a calibration; `auto` may come out as one that does. */
export function gainsByCalibration(name: string): boolean {
  if (name === 'auto' || needsCalibration(name)) return true;
  const ANY_HEAD_DIM = 64;
  return isCoarse(parseKvFormat(name, ANY_HEAD_DIM));
}

/** Formats as coarse as this gain from what was learnt; finer ones lose next to nothing anyway. */
const MOST_LEARNT_BITS = 6;

function isCoarse({ k, v }: KvFormat): boolean {
  return Math.min(k.bits, v.bits) <= MOST_LEARNT_BITS;
}

/**
 * The format of a name, for a model's heads: with what was learnt in place of the rotation, where there is a calibration and the format is
 * coarse enough to gain by it.
 *
 * @throws KvantError INVALID_OPTION for an unknown name, for a mix without a calibration that has widths, or a budget that nothing fits
 */
export function resolveKvFormat(name: string, shape: KvShape, calibration: Calibration | undefined): KvFormat {
  const [, budget] = MIX_NAME.exec(name) ?? [];
  if (budget !== undefined) return mixedFormat(name, Number(budget), shape, calibration);
  const format = parseKvFormat(name, shape.headDim);
  return calibration && isCoarse(format) ? calibratedFormat(format, calibration) : format;
}

/** Whether a format has anything of a calibration. */
export function isCalibrated({ k, v }: KvFormat): boolean {
  return k.transforms !== undefined || v.transforms !== undefined;
}

/** Sides that stay in f16 are left as they are. */
function calibratedFormat(format: KvFormat, { k, v, keyFeedback }: Calibration): KvFormat {
  return {
    ...format,
    k: format.k.bits === 16 ? format.k : { ...format.k, rotate: false, transforms: k, feedback: keyFeedback },
    v: format.v.bits === 16 ? format.v : { ...format.v, rotate: false, transforms: v },
  };
}

function mixedFormat(name: string, budget: number, shape: KvShape, calibration: Calibration | undefined): KvFormat {
  if (!calibration || calibration.upgrades.length === 0) {
    const message = `KV format "${name}" needs a calibration that says which layers get which bits`;
    throw new KvantError(
      'INVALID_OPTION',
      `${message}: make one with "kvant calibrate", and give it with --calibration`,
    );
  }
  const base = calibratedFormat({ ...parseKvFormat('q1', shape.headDim), name }, calibration);
  const bits = Array.from({ length: shape.numLayers }, (): { k: CodeBits; v: CodeBits } => ({ k: 1, v: 1 }));
  const formatOf = (): KvFormat => ({
    ...base,
    layerBits: bits.map((ofLayer): { k: TileBits; v: TileBits } => ({ ...ofLayer })),
  });
  const fits = (): boolean => bitsPerElement(sealedPageLayout(formatOf(), shape)) <= budget;
  if (!fits()) {
    const least = bitsPerElement(sealedPageLayout(formatOf(), shape)).toFixed(2);
    throw new KvantError(
      'INVALID_OPTION',
      `KV format "${name}": codes of one bit take ${least} bits an element; give at least that`,
    );
  }
  for (const { kind, layer } of calibration.upgrades) {
    const before = bits[layer][kind];
    bits[layer][kind] = widerCode(before);
    if (fits()) continue;
    bits[layer][kind] = before;
    break;
  }
  return formatOf();
}

/** The next wider code. @throws RangeError if there is none */
export function widerCode(bits: CodeBits): CodeBits {
  const wider = CODE_BITS.findLast((width) => width > bits);
  if (wider === undefined) throw new RangeError(`no code is wider than ${bits} bits`);
  return wider;
}
