import type { KvShape } from '../../cache/page-layout.ts';
import type { CalibrationSource } from '../calibration-file.ts';
import type { Calibration, Upgrade } from '../calibration.ts';
import { headTransforms } from '../transforms.ts';

/** A calibration that changes nothing: no head is turned, no error is shared. */
export function identitySource(shape: KvShape, changes: Partial<CalibrationSource> = {}): CalibrationSource {
  const { numLayers, numKvHeads, headDim } = shape;
  const size = headDim ** 2;
  const identity = new Float32Array(numLayers * numKvHeads * size).map((_, i) => {
    return Math.floor((i % size) / headDim) === i % headDim ? 1 : 0;
  });
  return {
    fingerprint: `sha256:${'a'.repeat(64)}`,
    shape: { numLayers, numKvHeads, headDim },
    source: 'a text',
    k: identity,
    // Numbers of its own, as in a file: what is shared would be there once.
    v: identity.slice(),
    keyFeedback: new Float32Array(identity.length),
    upgrades: everyUpgrade(numLayers),
    ...changes,
  };
}

/** As `identitySource`, ready to be used. */
export function identityCalibration(shape: KvShape, changes: Partial<CalibrationSource> = {}): Calibration {
  const source = identitySource(shape, changes);
  const [k, v] = [source.k, source.v].map((forward) => headTransforms(shape.headDim, forward));
  return { ...source, k, v };
}

/** From one bit to eight: a width at a time, layer by layer, K before V. */
function everyUpgrade(numLayers: number): Upgrade[] {
  return Array.from({ length: 6 }, () =>
    Array.from({ length: numLayers }, (_, layer) => (['k', 'v'] as const).map((kind) => ({ kind, layer }))),
  ).flat(2);
}
