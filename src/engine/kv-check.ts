import { CODE_BITS } from '../quant/bit-planes.ts';
import { multiplyHead } from '../quant/head-transform.ts';
import { hadamardFloat64 } from '../quant/hadamard.ts';
import type { KvFormat, TileBits, TileKind } from '../quant/kv-format.ts';
import { AttentionLoss, type RestoreOutput } from './attention-loss.ts';
import { keySpread } from './key-outliers.ts';
import type { ObservedCache } from './observed-cache.ts';
import type { KvLayerCheck } from './types.ts';

/**
 * What an output loses, as the mean KL divergence to an f16 cache, is about so many times the mean over layers of
 * attention's KL divergence and of the squared relative error that values cause. Fitted on the embedded model and the five tiny ones, at
 * 1 to 4 bits: docs/decisions/0007-check-kv.md has the table.
 */
const OUTPUT_KLD_OF_KEYS = 0.4;
const OUTPUT_KLD_OF_VALUES = 1.5;

/**
 * What a layer may lose. If all lost as much, the output's KL divergence would be about .015, half of what llama.cpp's q4_0 loses on the
 * embedded model: half of it from keys, half from values.
 */
export const KV_LIMITS = { attentionKld: 0.02, valueError: 0.07 } as const;

/** Bits of K and V. */
export type SideBits = Readonly<Record<TileKind, TileBits>>;

/** What each layer loses in the format that the cache was observed in. */
export function checkLayers(observed: ObservedCache): KvLayerCheck[] {
  const { shape } = observed.config;
  return Array.from({ length: shape.numLayers }, (_, layer): KvLayerCheck => {
    const bits = { k: observed.bits(layer, 'k'), v: observed.bits(layer, 'v') };
    const loss = layerLoss(observed, layer, bits);
    const { attentionKld, valueError, outputError } = loss;
    const { outlier, bias } = layerSpread(observed, layer);
    return {
      ...{ layer, kBits: bits.k, vBits: bits.v, attentionKld, valueError, outputError },
      ...{ keyOutlier: outlier, keyBias: bias, suffers: (['k', 'v'] as const).filter((kind) => !isFine(loss, kind)) },
    };
  });
}

/** The output's KL divergence to an f16 cache that such losses of layers bring; rarely more than a factor of two off. */
export function estimateOutputKld(layers: readonly Pick<KvLayerCheck, 'attentionKld' | 'valueError'>[]): number {
  const losses = layers.map(({ attentionKld, valueError }) => {
    return OUTPUT_KLD_OF_KEYS * attentionKld + OUTPUT_KLD_OF_VALUES * valueError ** 2;
  });
  return losses.reduce((sum, loss) => sum + loss, 0) / layers.length;
}

/** The fewest bits with which each layer that suffers would no longer, but at most 8; as they are for all other layers. */
export function neededBits(observed: ObservedCache, layers: readonly KvLayerCheck[]): SideBits[] {
  return layers.map(({ layer, kBits, vBits, suffers }) => {
    const bits = { k: kBits, v: vBits };
    for (const kind of suffers) bits[kind] = neededSideBits(observed, layer, kind, bits);
    return bits;
  });
}

/**
 * Bits for all layers with which the one that suffers most on either side would no longer. Where 8 do not help, 16.
 *
 * @param layers of which at least one suffers
 */
export function suggestBits(observed: ObservedCache, layers: readonly KvLayerCheck[]): SideBits {
  const most = { k: Math.max(...layers.map(({ kBits }) => kBits)), v: Math.max(...layers.map(({ vBits }) => vBits)) };
  const suggested = most as { k: TileBits; v: TileBits };
  for (const kind of ['k', 'v'] as const) {
    const loss = (layer: KvLayerCheck): number => (kind === 'k' ? layer.attentionKld : layer.valueError);
    const worst = layers.filter(({ suffers }) => suffers.includes(kind)).sort((a, b) => loss(b) - loss(a))[0];
    if (!worst) continue;
    const bits = { k: worst.kBits, v: worst.vBits };
    const needed = neededSideBits(observed, worst.layer, kind, bits);
    suggested[kind] = needed > bits[kind] ? (Math.max(needed, most[kind]) as TileBits) : 16;
  }
  return suggested;
}

function neededSideBits(observed: ObservedCache, layer: number, kind: TileKind, bits: SideBits): TileBits {
  const wider = CODE_BITS.filter((width) => width > bits[kind]).sort((a, b) => a - b);
  return (
    wider.find((width) => isFine(layerLoss(observed, layer, { ...bits, [kind]: width }), kind)) ??
    wider.at(-1) ??
    bits[kind]
  );
}

/** A figure that is no number is not fine. */
function isFine({ attentionKld, valueError }: AttentionLoss, kind: TileKind): boolean {
  return kind === 'k' ? attentionKld <= KV_LIMITS.attentionKld : valueError <= KV_LIMITS.valueError;
}

/** What a layer would lose with other bits than it has. */
function layerLoss(observed: ObservedCache, layer: number, bits: SideBits): AttentionLoss {
  const { shape, numHeads, format } = observed.config;
  const group = numHeads / shape.numKvHeads;
  const loss = new AttentionLoss();
  for (let kvHead = 0; kvHead < shape.numKvHeads; kvHead++) {
    const exact = { keys: observed.exact(layer, kvHead, 'k'), values: observed.exact(layer, kvHead, 'v') };
    const keys = observed.cached(layer, kvHead, 'k', bits.k);
    const cached = { keys, values: observed.cached(layer, kvHead, 'v', bits.v) };
    const restore = restoreOf(format, layer * shape.numKvHeads + kvHead);
    for (const query of observed.queries) {
      for (let head = kvHead * group; head < (kvHead + 1) * group; head++) {
        loss.add(observed.query(query, layer, head), query.position + 1, exact, cached, restore);
      }
    }
  }
  return loss;
}

/** A rotation leaves lengths as they are, so that it need not be undone. */
function restoreOf({ v: { transforms } }: KvFormat, index: number): RestoreOutput | undefined {
  if (!transforms) return undefined;
  return (output) => output.set(multiplyHead(transforms.inverse, index, output, false));
}

/** Of the head whose channels are the most unlike, without the format's transform. */
function layerSpread(observed: ObservedCache, layer: number): ReturnType<typeof keySpread> {
  const { shape, format } = observed.config;
  const spreads = Array.from({ length: shape.numKvHeads }, (_, kvHead) => {
    const keys = observed.exact(layer, kvHead, 'k').slice(format.numSinkTokens * shape.headDim);
    untransform(keys, shape.headDim, format, layer * shape.numKvHeads + kvHead);
    return keySpread(keys, shape.headDim);
  });
  return {
    outlier: Math.max(...spreads.map(({ outlier }) => outlier)),
    bias: Math.max(...spreads.map(({ bias }) => bias)),
  };
}

function untransform(
  keys: Float64Array,
  headDim: number,
  { k: { rotate, transforms } }: KvFormat,
  index: number,
): void {
  for (let start = 0; start < keys.length; start += headDim) {
    if (transforms)
      keys.set(multiplyHead(transforms.inverse, index, keys.subarray(start, start + headDim), false), start);
    else if (rotate) hadamardFloat64(keys, start, headDim);
  }
}
