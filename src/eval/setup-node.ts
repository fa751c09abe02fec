import { chooseBackend } from '../engine/choose-backend-node.ts';
import { resolveOptions } from '../engine/load-node.ts';
import { chooseCtx } from '../engine/memory-plan.ts';
import { nodePlatform } from '../engine/platform-node.ts';
import type { ParsedLoadOptions } from '../engine/options.ts';
import type { Activations } from '../kernels/kernels.ts';
import { openModel } from '../model/open-model-node.ts';
import { needsCalibration } from '../calibration/calibration.ts';
import { parseKvFormat } from '../quant/kv-format.ts';
import { Tokenizer } from '../tokens/tokenizer.ts';
import type { EvalSetup } from './eval-engine.ts';

/** An evaluation of the model that the options name, in this very thread. @throws KvantError MODEL_NOT_FOUND */
export async function evalSetup(
  options: Omit<ParsedLoadOptions, 'kv' | 'onProgress' | 'signal'>,
  activations: Activations,
  signal: AbortSignal,
): Promise<EvalSetup> {
  const load = resolveOptions({ ...options, backend: await chooseBackend(options.backend) });
  return { load, activations, openModel, platform: nodePlatform, signal };
}

/**
 * Refuses what would be refused only when some engine is loaded, perhaps after a long time, and gives the model's tokenizer.
 *
 * @throws KvantError as `openModel` does, INVALID_OPTION for a context or a format that the model cannot have
 */
export async function prepareModel({ load }: EvalSetup, kvFormats: readonly string[]): Promise<Tokenizer> {
  const { tokenizerMetadata, hyperparameters, file } = await openModel(load.modelPath);
  await file.close();
  chooseCtx(load.ctx, hyperparameters.contextLength);
  for (const kv of kvFormats) if (!needsCalibration(kv)) parseKvFormat(kv, hyperparameters.headDim);
  return new Tokenizer(tokenizerMetadata);
}
