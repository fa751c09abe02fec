import type { KvCheck, KvLayerCheck } from '../../engine/types.ts';

/** A layer of 2 bits that does not suffer, but for the changes. */
export function fakeLayer(layer: number, changes: Partial<KvLayerCheck> = {}): KvLayerCheck {
  return {
    ...{ layer, kBits: 2, vBits: 2, attentionKld: 0.01, valueError: 0.03, outputError: 0.04 },
    ...{ keyOutlier: 3, keyBias: 2, suffers: [] },
    ...changes,
  };
}

/** What was found of one layer, but for the changes. */
export function fakeCheck(changes: Partial<KvCheck> = {}): KvCheck {
  return {
    ...{ mode: 'warn', numTokens: 260, numTextTokens: 260, limits: { attentionKld: 0.02, valueError: 0.07 } },
    ...{ layers: [fakeLayer(0)], estimatedKld: 0.0123, raised: [] },
    ...{ bitsPerElementBefore: 2.36, bitsPerElement: 2.36, checkMs: 400 },
    ...changes,
  };
}
