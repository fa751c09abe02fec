import type { Upgrade } from '../calibration/calibration.ts';
import { formatCalibration } from '../calibration/calibration-file.ts';
import { chooseCtx } from '../engine/memory-plan.ts';
import { nodePlatform } from '../engine/platform-node.ts';
import type { EngineLoadOptions } from '../engine/protocol.ts';
import { openModel } from '../model/open-model-node.ts';
import { Tokenizer } from '../tokens/tokenizer.ts';
import { calibrate, cutWindows, type CalibrateOptions } from './calibrate.ts';

export interface CalibrateTextOptions extends Pick<
  CalibrateOptions,
  'numWindows' | 'withUpgrades' | 'onProgress' | 'signal'
> {
  /** Tokens of a window; undefined: the model's own context, up to `mostCtxByDefault`. */
  readonly ctx: number | undefined;
  readonly mostCtxByDefault: number;
  readonly textName: string;
}

export interface LearntFile {
  /** What the calibration file is to hold. */
  readonly fileText: string;
  readonly fingerprint: string;
  /** Of the text, that were learnt from. */
  readonly numTokens: number;
  readonly upgrades: readonly Upgrade[];
}

/**
 * Learns from a text what a model's cache should be stored as, in this very thread.
 *
 * @throws KvantError INVALID_OPTION for windows beyond the model's context; and as `calibrate` does
 */
export async function calibrateOnText(
  { modelPath, backend, threads }: Pick<EngineLoadOptions, 'modelPath' | 'backend' | 'threads'>,
  text: string,
  options: CalibrateTextOptions,
): Promise<LearntFile> {
  const { tokenizerMetadata, hyperparameters, file } = await openModel(modelPath);
  await file.close();
  const { contextLength } = hyperparameters;
  const { ctx = Math.min(options.mostCtxByDefault, contextLength), numWindows } = options;
  const windowTokens = chooseCtx(ctx, contextLength);
  const tokens = new Tokenizer(tokenizerMetadata).encode(text);
  const numTokens = cutWindows({ tokens, windowTokens, numWindows }).reduce(
    (total, window) => total + window.length,
    0,
  );
  const learnt = await calibrate({
    ...options,
    ...{ modelPath, backend, threads, tokens, windowTokens, openModel, platform: nodePlatform },
    source: `the first ${numTokens.toLocaleString('en-US')} tokens of ${options.textName}`,
  });
  const { fingerprint, upgrades } = learnt;
  return { fileText: formatCalibration(learnt), fingerprint, numTokens, upgrades };
}
