import * as z from 'zod';
import type { GenerateResult } from '../engine/types.ts';
import { count } from './answer-schema.ts';

/** What answers took, as OpenAI's API tells it, and in our own words. */

export const usageSchema = z.object({
  prompt_tokens: count,
  completion_tokens: count,
  total_tokens: count,
  prompt_tokens_details: z.object({ cached_tokens: count.describe('Found in the cache') }),
  completion_tokens_details: z.object({
    accepted_prediction_tokens: count.describe('Tokens that the engine guessed and that are in the answer'),
    rejected_prediction_tokens: count,
  }),
});

export type Usage = z.infer<typeof usageSchema>;

export const kvantReportSchema = z.object({
  kv: z.object({
    format: z.string(),
    bits_per_element: z.number().describe('Of everything that is stored, metadata counted'),
    bytes: count,
    f16_bytes: count.describe('What the same tokens take in f16'),
    tokens: count,
  }),
  cached_tokens: count.describe('Prompt tokens found in the cache'),
  ttft_ms: z.number().describe('From the request to its first token'),
  decode_tps: z.number().nullable().describe('Tokens per second after the first one; null for fewer than two'),
  seed: count.describe('Of the first answer'),
  conversation: z.string().optional().describe('As it was named in the request'),
  turn: z.int().min(1).optional().describe('Turn of the conversation: 1 where the server knew of no earlier one'),
});

export type KvantReport = z.infer<typeof kvantReportSchema>;

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
