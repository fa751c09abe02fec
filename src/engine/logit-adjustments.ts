import type { ResolvedSampling } from './defaults.ts';

type Adjustments = Pick<ResolvedSampling, 'logitBias' | 'frequencyPenalty' | 'presencePenalty' | 'repetitionPenalty'>;

/**
 * What a request wants changed of logits before a token is chosen, in this order:
 *
 * 1. biases are added, as in OpenAI's API
 * 2. for each token of the answer that came `n` times, `n * frequencyPenalty + presencePenalty` is subtracted, as in OpenAI's API
 * 3. the logit of every token that the sequence has, its prompt included, is divided by the repetition penalty where it is positive, and
 *    multiplied where it is negative (CTRL, arXiv 1909.05858)
 *
 * @param logits [vocabulary]; not changed
 * @param tokens what the sequence has so far
 * @param numPromptTokens of them before the answer
 * @returns `logits` itself where there is nothing to change, else a copy
 */
export function adjustLogits(
  logits: Float32Array,
  tokens: readonly number[],
  numPromptTokens: number,
  { logitBias, frequencyPenalty, presencePenalty, repetitionPenalty }: Adjustments,
): Float32Array {
  const biases = Object.entries(logitBias);
  const penalizesAnswer = frequencyPenalty !== 0 || presencePenalty !== 0;
  if (biases.length === 0 && !penalizesAnswer && repetitionPenalty === 1) return logits;
  const adjusted = logits.slice();
  for (const [id, bias] of biases) adjusted[Number(id)] += bias;
  if (penalizesAnswer) {
    for (const [token, count] of countsOf(tokens, numPromptTokens)) {
      adjusted[token] -= count * frequencyPenalty + presencePenalty;
    }
  }
  if (repetitionPenalty !== 1) {
    for (const token of new Set(tokens)) {
      const logit = adjusted[token];
      adjusted[token] = logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty;
    }
  }
  return adjusted;
}

/** How often the tokens from `start` on occur. */
function countsOf(tokens: readonly number[], start: number): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (let i = start; i < tokens.length; i++) counts.set(tokens[i], (counts.get(tokens[i]) ?? 0) + 1);
  return counts;
}
