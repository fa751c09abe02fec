import type { Upgrade } from '../calibration/calibration.ts';
import { formatCalibration } from '../calibration/calibration-file.ts';
import { nodePlatform } from '../engine/platform-node.ts';
import type { EngineLoadOptions } from '../engine/protocol.ts';
import { openModel } from '../model/open-model-node.ts';
import { Tokenizer } from '../tokens/tokenizer.ts';
import { calibrate, type CalibrateOptions } from './calibrate.ts';

export interface CalibrateTextOptions extends Pick<
  CalibrateOptions,
  'windowTokens' | 'numWindows' | 'withUpgrades' | 'onProgress' | 'signal'
> {
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

/** Learns from a text what a model's cache should be stored as, in this very thread. @throws as `calibrate` does */
export async function calibrateOnText(
  { modelPath, backend, threads }: Pick<EngineLoadOptions, 'modelPath' | 'backend' | 'threads'>,
  text: string,
  options: CalibrateTextOptions,
): Promise<LearntFile> {
  const { tokenizerMetadata, file } = await openModel(modelPath);
  await file.close();
  const tokens = new Tokenizer(tokenizerMetadata).encode(text);
  const numTokens = Math.min(tokens.length, options.windowTokens * options.numWindows);
  const learnt = await calibrate({
    ...options,
    ...{ modelPath, backend, threads, tokens, openModel, platform: nodePlatform },
    source: `the first ${numTokens.toLocaleString('en-US')} tokens of ${options.textName}`,
  });
  const { fingerprint, upgrades } = learnt;
  return { fileText: formatCalibration(learnt), fingerprint, numTokens, upgrades };
}
