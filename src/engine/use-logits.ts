import type { Tokenizer } from '../tokens/tokenizer.ts';
import type { EngineRun } from './engine-run.ts';
import { logSoftmax } from './log-softmax.ts';
import { sampleToken } from './sampler.ts';
import { tokenLogProb } from './token-log-probs.ts';

/**
 * Tells those of a row of logits who want to know, and chooses the token that follows if the position is the sequence's last.
 *
 * @param logits [vocabulary], the backend's own
 * @throws KvantError ENGINE_FAILED if they are not numbers, MODEL_UNSUPPORTED if no token of the vocabulary suits the answer's grammar
 */
export function useLogits(
  run: EngineRun,
  position: number,
  logits: Float32Array,
  tokenizer: Pick<Tokenizer, 'tokenBytes' | 'endIds'>,
): void {
  const { request, tokens, maxLength } = run.sequence;
  run.events.onLogits?.(position, logits);
  if (request.logProbsAt[run.sequence.numLogProbsGiven] === position) {
    run.sequence.numLogProbsGiven++;
    run.events.onLogProbs(position, logSoftmax(logits));
  }
  if (position !== tokens.length - 1 || tokens.length >= maxLength) return;
  const { sampling, promptTokens, topLogProbs } = request;
  const allowed = run.grammar?.allowedLogits(logits, tokenizer.endIds) ?? logits;
  const token = sampleToken(allowed, tokens, tokens.length, sampling, promptTokens.length);
  run.addToken(token, topLogProbs === undefined ? undefined : tokenLogProb(logits, token, topLogProbs, tokenizer));
}
