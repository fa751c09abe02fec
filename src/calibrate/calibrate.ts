import type { KvShape } from '../cache/page-layout.ts';
import type { CalibrationSource } from '../calibration/calibration-file.ts';
import { headTransforms } from '../calibration/transforms.ts';
import type { EnginePlatform } from '../engine/load-engine.ts';
import type { EngineLoadOptions } from '../engine/protocol.ts';
import { KvantError } from '../errors.ts';
import type { Activations } from '../kernels/kernels.ts';
import { modelFingerprint } from '../model/fingerprint.ts';
import type { ModelFile } from '../model/model-file.ts';
import { Transformer } from '../model/transformer.ts';
import { loadWeights } from '../model/weights.ts';
import { PAGE_SIZE, parseKvFormat, type KvFormat } from '../quant/kv-format.ts';
import { learnTransforms } from './learn-transforms.ts';
import { learnUpgrades } from './learn-upgrades.ts';
import { measureTiles, type RunningModel } from './measure-tiles.ts';

export interface CalibrateOptions {
  readonly modelPath: string;
  readonly backend: EngineLoadOptions['backend'];
  readonly threads: number;
  readonly openModel: (path: string) => Promise<ModelFile>;
  readonly platform: EnginePlatform;
  /** The text: as many whole windows are taken of it as asked for, or as it has. */
  readonly tokens: readonly number[];
  readonly windowTokens: number;
  readonly numWindows: number;
  /** Whether to learn which layers deserve more bits, which takes most of the time. */
  readonly withUpgrades: boolean;
  /** What the text is, for people. */
  readonly source: string;
  readonly onProgress: (describe: () => string) => void;
  readonly signal: AbortSignal;
}

/** Tokens of the text on which the layers' losses are measured: a few pages, many times over. */
const LOSS_TOKENS = 512;
/** Rows of a step: a page, and the sink tokens of the first. */
const MAX_ROWS = 68;

/**
 * Learns from a text what a model's cache should be stored as.
 *
 * @throws KvantError INVALID_OPTION if the text has no two pages of tokens, and what opening and loading the model throw; the signal's
 *   reason if it aborts
 */
export async function calibrate(options: CalibrateOptions): Promise<CalibrationSource> {
  const windows = cutWindows(options);
  const model = await options.openModel(options.modelPath);
  try {
    const { numLayers, numKvHeads, headDim, contextLength } = model.hyperparameters;
    const shape: KvShape = { numLayers, numKvHeads, headDim };
    const fingerprint = await modelFingerprint(model.file);
    const run = await open(model, options, parseKvFormat('f16', headDim), 'int8', windows[0].length);
    let done = 0;
    options.onProgress(() => `window ${done + 1} of ${windows.length}`);
    const learnt = await learnTransforms(
      run.kernels,
      { transformer: run.transformer, file: model },
      {
        windows,
        ctx: contextLength,
        onWindow: (count) => (done = count),
        signal: options.signal,
      },
    ).finally(() => run.close());
    const source = { fingerprint, shape, source: options.source, ...learnt };
    if (!options.withUpgrades) return { ...source, upgrades: [] };
    return { ...source, upgrades: await upgradesOf(model, options, source) };
  } finally {
    await model.file.close();
  }
}

async function upgradesOf(
  model: ModelFile,
  options: CalibrateOptions,
  source: Omit<CalibrationSource, 'upgrades'>,
): Promise<CalibrationSource['upgrades']> {
  const { shape } = source;
  const [k, v] = [source.k, source.v].map((forward) => headTransforms(shape.headDim, forward));
  let text = 'losses of layers';
  options.onProgress(() => text);
  const losses = await measureTiles(shape, {
    calibration: { ...source, k, v, upgrades: [] },
    tokens: options.tokens.slice(0, LOSS_TOKENS),
    open: (format) => open(model, options, format, 'f32', LOSS_TOKENS),
    onTile: (done, total) => (text = `losses of layers: ${done} of ${total}`),
    signal: options.signal,
  });
  return learnUpgrades(losses);
}

/** What is learnt from: whole windows of whole pages. @throws KvantError INVALID_OPTION if the text has no two pages of tokens */
export function cutWindows({
  tokens,
  windowTokens,
  numWindows,
}: Pick<CalibrateOptions, 'tokens' | 'windowTokens' | 'numWindows'>): number[][] {
  const whole = Math.floor(Math.min(windowTokens, tokens.length) / PAGE_SIZE) * PAGE_SIZE;
  const least = 2 * PAGE_SIZE;
  if (whole < least) {
    const message = `the text has ${tokens.length} tokens: give one of at least ${least}, better 16,000`;
    throw new KvantError('INVALID_OPTION', message);
  }
  const count = Math.min(numWindows, Math.floor(tokens.length / whole));
  return Array.from({ length: count }, (_, i) => tokens.slice(i * whole, (i + 1) * whole));
}

async function open(
  model: ModelFile,
  { backend, threads, platform, signal }: CalibrateOptions,
  format: KvFormat,
  activations: Activations,
  maxContext: number,
): Promise<RunningModel> {
  const { hyperparameters, ropeFrequencies } = model;
  const kernels = await platform.createKernels(backend, {
    shape: hyperparameters,
    numHeads: hyperparameters.numHeads,
    format,
    ropeFrequencies,
    maxRows: MAX_ROWS,
    maxContext,
    numThreads: threads,
    activations,
  });
  try {
    const weights = await loadWeights(kernels, model, { signal });
    return { kernels, transformer: new Transformer(kernels, weights, hyperparameters), close: () => kernels.close() };
  } catch (error) {
    await kernels.close();
    throw error;
  }
}
