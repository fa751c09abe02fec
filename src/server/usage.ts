import type { GenerateResult } from '../engine/types.ts';

/** What answers took, as OpenAI's API tells it, and in our own words. */

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
  readonly completion_tokens_details: {
    readonly accepted_prediction_tokens: number;
    readonly rejected_prediction_tokens: number;
  };
}

export interface KvantReport {
  readonly kv: {
    readonly format: string;
    readonly bits_per_element: number;
    readonly bytes: number;
    /** What the same tokens take in f16. */
    readonly f16_bytes: number;
    readonly tokens: number;
  };
  readonly cached_tokens: number;
  /** To the first token of the first answer. */
  readonly ttft_ms: number;
  /** Of all answers together; null where none has two tokens. */
  readonly decode_tps: number | null;
  /** Of the first answer. */
  readonly seed: number;
}

/** @param results of answers to one prompt each; `numChoices` in a row have the same prompt, which counts once */
export function usageOf(results: readonly GenerateResult[], numChoices: number): Usage {
  const firsts = results.filter((_, index) => index % numChoices === 0);
  const promptTokens = sum(firsts.map((result) => result.promptTokens));
  const completionTokens = sum(results.map((result) => result.completionTokens));
  const drafted = sum(results.map(({ speculation }) => speculation?.drafted ?? 0));
  const accepted = sum(results.map(({ speculation }) => speculation?.accepted ?? 0));
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: sum(firsts.map((result) => result.cachedTokens)) },
    completion_tokens_details: {
      accepted_prediction_tokens: accepted,
      rejected_prediction_tokens: drafted - accepted,
    },
  };
}

/** Of answers that belong together; where they share pages, each counts them. @param results at least one */
export function kvantReport(results: readonly GenerateResult[]): KvantReport {
  const [{ kv, seed }] = results;
  const bytes = sum(results.map((result) => result.kv.bytes));
  const bytesF16 = sum(results.map((result) => result.kv.bytesF16));
  const speeds = results.flatMap(({ timings }) => timings.decodeTps ?? []);
  return {
    kv: {
      format: kv.format,
      // An element has 16 bits in f16.
      bits_per_element: bytesF16 === 0 ? 0 : (16 * bytes) / bytesF16,
      bytes,
      f16_bytes: bytesF16,
      tokens: sum(results.map((result) => result.kv.tokens)),
    },
    cached_tokens: sum(results.map((result) => result.cachedTokens)),
    ttft_ms: Math.min(...results.map(({ timings }) => timings.ttftMs)),
    decode_tps: speeds.length === 0 ? null : sum(speeds),
    seed,
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
