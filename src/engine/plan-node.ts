import { gainsByCalibration } from '../calibration/calibration.ts';
import { KV_FORMAT_LADDER } from '../quant/kv-format.ts';
import { loadCalibration } from './load-calibration.ts';
import { chooseBackend } from './choose-backend-node.ts';
import { resolveOptions } from './load-node.ts';
import { openModels } from './open-models-node.ts';
import { parsePlanOptions } from './options.ts';
import { planModel, type ModelPlan } from './plan-model.ts';
import { nodePlatform } from './platform-node.ts';
import type { PlanOptions } from './types.ts';

/** Plans of one model, whose header has been read. */
export interface Planner {
  /** @throws KvantError INVALID_OPTION, also for a context that the model does not have */
  plan(options: Pick<PlanOptions, 'ctx' | 'maxSequences' | 'memory'>): ModelPlan;
}

/**
 * Reads what plans are made from, so that many can be made without reading it again. No file stays open.
 *
 * @throws KvantError INVALID_OPTION, MODEL_NOT_FOUND, MODEL_NOT_GGUF, MODEL_TRUNCATED, MODEL_INVALID, MODEL_UNSUPPORTED, FILE_ERROR
 */
export async function openPlanner(options: PlanOptions): Promise<Planner> {
  const { kv, ...others } = parsePlanOptions(options);
  const resolved = resolveOptions({ ...others, backend: await chooseBackend(others.backend) });
  const { model, draft } = await openModels(resolved.modelPath, resolved.draftModelPath);
  try {
    const names = kv ?? KV_FORMAT_LADDER;
    const gaining = names.find(gainsByCalibration);
    const calibration = gaining && (await loadCalibration(model, resolved.calibration, gaining, nodePlatform));
    const planned = { ...resolved, calibration: calibration || undefined, kv, draft };
    return {
      plan: (changes) => {
        const { ctx, maxSequences, memory } = { ...planned, ...parsePlanOptions(changes) };
        return planModel(model, { ...planned, ctx, maxSequences, memory }, nodePlatform);
      },
    };
  } finally {
    await model.file.close();
    await draft?.file.close();
  }
}

/**
 * What loading a model would take in each KV format, what fits, and which format `kv: 'auto'` would choose. Reads the header of the
 * file, no weights, and starts no engine.
 *
 * @throws KvantError as `openPlanner`; INVALID_OPTION, also for a context that the model does not have
 */
export async function plan(options: PlanOptions = {}): Promise<ModelPlan> {
  return (await openPlanner(options)).plan({});
}
