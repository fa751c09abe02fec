import type { KvShape } from '../cache/page-layout.ts';
import { KvantError } from '../errors.ts';
import type { HeadTransforms } from '../quant/head-transform.ts';
import type { KvFormat, TileKind } from '../quant/kv-format.ts';

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
   * bits under a budget is the longest start of the list that fits.
   */
  readonly upgrades: readonly Upgrade[];
}

/** Refuses a calibration of other weights. @throws KvantError CALIBRATION_MISMATCH */
export function checkCalibration(calibration: Calibration, fingerprint: string, shape: KvShape): void {
  const { numLayers, numKvHeads, headDim } = calibration.shape;
  const sameShape = numLayers === shape.numLayers && numKvHeads === shape.numKvHeads && headDim === shape.headDim;
  if (sameShape && calibration.fingerprint === fingerprint) return;
  throw new KvantError(
    'CALIBRATION_MISMATCH',
    `the calibration (${calibration.source}) belongs to other weights, ${calibration.fingerprint.slice(0, 15)}..., than this model's, ` +
      `${fingerprint.slice(0, 15)}...: make one of this model with kvant calibrate, or load without it`,
  );
}

/** The format with what was learnt in place of the rotation. Sides that stay in f16 are left as they are. */
export function calibratedFormat(format: KvFormat, { k, v, keyFeedback }: Calibration): KvFormat {
  return {
    ...format,
    k: format.k.bits === 16 ? format.k : { ...format.k, rotate: false, transforms: k, feedback: keyFeedback },
    v: format.v.bits === 16 ? format.v : { ...format.v, rotate: false, transforms: v },
  };
}
