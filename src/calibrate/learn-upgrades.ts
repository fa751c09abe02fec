import type { Upgrade } from '../calibration/calibration.ts';
import { widerCode } from '../calibration/calibration.ts';
import type { CodeBits } from '../quant/bit-planes.ts';
import type { TileKind } from '../quant/kv-format.ts';

/** Mean KL divergence from the f16 cache where one layer's tiles of one kind alone are quantized, at two widths. */
export interface TileLoss {
  readonly kind: TileKind;
  readonly layer: number;
  readonly at2Bits: number;
  readonly at4Bits: number;
}

/**
 * From two bits to one, losses grow by so much more than the line through 2 and 4 bits says (SmolLM2-135M-Instruct: 15 times in K, where the
 * line says 5).
 */
const ONE_BIT_FACTOR = 3;
/** Below what float32 can tell. */
const LEAST_LOSS = 1e-9;

/**
 * The best use of bits, in order: starting from one bit everywhere, always the widening that takes most loss away for each bit it adds.
 * Losses are taken to add up, and between widths to be exponential (two widths measured choose about as well as all).
 */
export function learnUpgrades(losses: readonly TileLoss[]): Upgrade[] {
  const widths = losses.map((): CodeBits => 1);
  const upgrades: Upgrade[] = [];
  for (;;) {
    let best = -1;
    let bestGain = -Infinity;
    losses.forEach((loss, i) => {
      if (widths[i] === 8) return;
      const wider = widerCode(widths[i]);
      const gain = (lossAt(loss, widths[i]) - lossAt(loss, wider)) / (wider - widths[i]);
      if (gain > bestGain) [best, bestGain] = [i, gain];
    });
    if (best < 0) return upgrades;
    widths[best] = widerCode(widths[best]);
    upgrades.push({ kind: losses[best].kind, layer: losses[best].layer });
  }
}

function lossAt({ at2Bits, at4Bits }: TileLoss, bits: CodeBits): number {
  const [low, high] = [Math.max(at2Bits, LEAST_LOSS), Math.max(at4Bits, LEAST_LOSS)];
  // A line that rises would be noise.
  const slope = Math.min(Math.log(high / low) / 2, Math.log(0.5));
  return low * Math.exp(slope * (bits - 2)) * (bits === 1 ? ONE_BIT_FACTOR : 1);
}
