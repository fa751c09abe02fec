import type { SamplingOptions } from './types.ts';

/** What options mean where they are not given. Apart from their schema, which the engine's worker does without. */

/** Longest context that is used when `ctx` is not given. */
export const DEFAULT_MAX_CTX = 8192;
/** More threads than this fight over memory bandwidth, and over the cores of other programs. */
export const DEFAULT_MAX_THREADS = 16;
export const DEFAULT_KV_FORMAT = 'q4';
/** Most sequences that an engine can be loaded for. */
export const MAX_SEQUENCES = 256;
/** Most bytes of swapped pages. */
export const DEFAULT_SWAP_BYTES = 1_000_000_000;
/** Prompt tokens of a step in which others decode: as many as two open pages hold. */
export const DEFAULT_MAX_PREFILL_TOKENS = 128;
/** Longer drafts are rarely right to the end; with the token before them they are as many rows as kernels share out among threads by pages. */
export const MAX_DRAFT_TOKENS = 16;
export const MAX_SEED = 0xffffffff;

/** What sampling options mean where they are not given: greedy, nothing dropped, nothing penalized. */
export const SAMPLING_DEFAULTS = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  logitBias: {},
  frequencyPenalty: 0,
  presencePenalty: 0,
} as const;

/** Sampling options with every default filled in. */
export type ResolvedSampling = Required<SamplingOptions>;

/** @param randomSeed taken where no seed was given */
export function resolveSampling(options: SamplingOptions, randomSeed: number): ResolvedSampling {
  const defaults = SAMPLING_DEFAULTS;
  return {
    temperature: options.temperature ?? defaults.temperature,
    topK: options.topK ?? defaults.topK,
    topP: options.topP ?? defaults.topP,
    minP: options.minP ?? defaults.minP,
    repetitionPenalty: options.repetitionPenalty ?? defaults.repetitionPenalty,
    logitBias: options.logitBias ?? defaults.logitBias,
    frequencyPenalty: options.frequencyPenalty ?? defaults.frequencyPenalty,
    presencePenalty: options.presencePenalty ?? defaults.presencePenalty,
    seed: options.seed ?? randomSeed,
  };
}
