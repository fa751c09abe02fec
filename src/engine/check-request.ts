import { KvantError } from '../errors.ts';
import type { EngineRequest } from './request.ts';

export interface RequestLimits {
  /** Most tokens of a sequence. */
  readonly ctx: number;
  /** Most tokens that the page memory holds if a sequence has it to itself. */
  readonly longest: number;
  readonly vocabularySize: number;
}

/**
 * Refuses a request that cannot be computed.
 *
 * @param formatName of the KV format that it is to run in
 * @throws KvantError PROMPT_TOO_LONG, OUT_OF_MEMORY if the KV cache cannot hold the prompt, INVALID_OPTION for an empty prompt, a token outside the vocabulary, in the prompt or in `logitBias`, or a
 *   position outside the prompt
 */
export function checkRequest(
  { promptTokens, logProbsAt, sampling }: EngineRequest,
  { ctx, longest, vocabularySize }: RequestLimits,
  formatName: string,
): void {
  const numTokens = promptTokens.length;
  if (numTokens === 0) {
    throw new KvantError('INVALID_OPTION', 'the prompt has no tokens: give at least one character');
  }
  if (numTokens > ctx) {
    const message =
      `the prompt has ${count(numTokens)} tokens, but the context holds ${count(ctx)}: ` +
      'shorten the prompt, or load the model with a larger ctx (--ctx)';
    throw new KvantError('PROMPT_TOO_LONG', message);
  }
  if (numTokens > longest) {
    const message =
      `the prompt has ${count(numTokens)} tokens, but the KV cache holds ${count(longest)} in ${formatName}: ` +
      'shorten the prompt, choose a format of fewer bits, or load the model with a larger kvMemory (--kv-memory)';
    throw new KvantError('OUT_OF_MEMORY', message);
  }
  const unknown = promptTokens.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabularySize);
  if (unknown !== undefined) {
    const message = `token id ${unknown} is not in the model's vocabulary: ids go from 0 to ${vocabularySize - 1}`;
    throw new KvantError('INVALID_OPTION', message);
  }
  const unknownBias = Object.keys(sampling.logitBias).find((id) => Number(id) >= vocabularySize);
  if (unknownBias !== undefined) {
    const message = `option "logitBias" must have token ids of the model's vocabulary, 0 to ${vocabularySize - 1}; got ${unknownBias}`;
    throw new KvantError('INVALID_OPTION', message);
  }
  const outside = logProbsAt.find((position) => position >= numTokens);
  if (outside !== undefined) {
    const message = `option "logProbsAt" must be positions of the prompt, 0 to ${numTokens - 1}; got ${outside}`;
    throw new KvantError('INVALID_OPTION', message);
  }
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}
