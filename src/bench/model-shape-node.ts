import { loadCalibration } from '../engine/load-calibration.ts';
import { resolveOptions } from '../engine/load-node.ts';
import { chooseCtx } from '../engine/memory-plan.ts';
import { demandOf } from '../engine/plan-load.ts';
import { nodePlatform } from '../engine/platform-node.ts';
import type { KvShape } from '../cache/page-layout.ts';
import { openModel } from '../model/open-model-node.ts';
import type { KvFormat } from '../quant/kv-format.ts';

/** What a model's cache looks like. */
export interface ModelShape {
  readonly name: string;
  readonly vocabularySize: number;
  readonly shape: KvShape;
  /** Context that an engine would be loaded with by default. */
  readonly ctx: number;
  /** In the order of their names. */
  readonly formats: readonly KvFormat[];
}

export interface ModelShapeOptions {
  readonly model?: string;
  readonly calibration?: string;
  readonly kv: readonly string[];
}

/**
 * Reads a model's header and makes its KV formats; loads no weights.
 *
 * @throws KvantError as `load` does for a model, a calibration or a format that it cannot take
 */
export async function readModelShape({ kv, ...options }: ModelShapeOptions): Promise<ModelShape> {
  const resolved = resolveOptions({ ...options, backend: 'wasm' });
  const model = await openModel(resolved.modelPath);
  try {
    const formats: KvFormat[] = [];
    for (const name of kv) {
      const calibration = await loadCalibration(model, resolved.calibration, name, nodePlatform);
      formats.push(demandOf(model, name, { ...resolved, calibration }, nodePlatform).format);
    }
    const { vocabularySize, contextLength, numLayers, numKvHeads, headDim } = model.hyperparameters;
    const shape = { numLayers, numKvHeads, headDim };
    return { name: model.name, vocabularySize, shape, ctx: chooseCtx(undefined, contextLength), formats };
  } finally {
    await model.file.close();
  }
}
