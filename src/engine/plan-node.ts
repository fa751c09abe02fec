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

/**
 * What loading a model would take in each KV format, what fits, and which format `kv: 'auto'` would choose. Reads the header of the
 * file, no weights, and starts no engine.
 *
 * @throws KvantError INVALID_OPTION, also for a context that the model does not have; MODEL_NOT_FOUND, MODEL_NOT_GGUF,
 *   MODEL_TRUNCATED, MODEL_INVALID, MODEL_UNSUPPORTED, FILE_ERROR
 */
export async function plan(options: PlanOptions = {}): Promise<ModelPlan> {
  const { kv, ...others } = parsePlanOptions(options);
  const resolved = resolveOptions({ ...others, backend: await chooseBackend(others.backend) });
  const { model, draft } = await openModels(resolved.modelPath, resolved.draftModelPath);
  try {
    const names = kv ?? KV_FORMAT_LADDER;
    const gaining = names.find(gainsByCalibration);
    const calibration = gaining && (await loadCalibration(model, resolved.calibration, gaining, nodePlatform));
    return planModel(model, { ...resolved, calibration: calibration || undefined, kv, draft }, nodePlatform);
  } finally {
    await model.file.close();
    await draft?.file.close();
  }
}
