import { CODE_BITS, type CodeBits } from './bit-planes.ts';
import type { HeadTransforms } from './head-transform.ts';
import type { TileKind } from './kv-format.ts';

/** A step of a bit map: this layer's tiles of this kind get the next wider codes. */
export interface Upgrade {
  readonly kind: TileKind;
  readonly layer: number;
}

/** What was learnt about a model's keys and values, for its cache to lose less. */
export interface Calibration {
  /** Of the weights that it belongs to, see model/fingerprint.ts. */
  readonly fingerprint: string;
  readonly numLayers: number;
  readonly numKvHeads: number;
  readonly headDim: number;
  /** What heads are multiplied by before they are stored. */
  readonly k: HeadTransforms;
  readonly v: HeadTransforms;
  /**
   * Best use of bits, in order: all tiles start with codes of one bit, and each upgrade widens one layer's tiles of one kind. A map of bits
   * under a budget is the longest start of the list that fits.
   */
  readonly upgrades: readonly Upgrade[];
}

/** The next wider code. @throws RangeError if there is none */
export function widerCode(bits: CodeBits): CodeBits {
  const wider = CODE_BITS.findLast((width) => width > bits);
  if (wider === undefined) throw new RangeError(`no code is wider than ${bits} bits`);
  return wider;
}
