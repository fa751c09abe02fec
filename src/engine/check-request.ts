import { KvantError } from '../errors.ts';
import type { EngineRequest } from './request.ts';

/**
 * Refuses a request that cannot be computed.
 *
 * @param ctx most tokens that a sequence may have
 * @throws KvantError PROMPT_TOO_LONG, INVALID_OPTION for an empty prompt, a token outside the vocabulary or a position
 *   outside the prompt
 */
export function checkRequest({ promptTokens, logProbsAt }: EngineRequest, ctx: number, vocabularySize: number): void {
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
  const unknown = promptTokens.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabularySize);
  if (unknown !== undefined) {
    const message = `token id ${unknown} is not in the model's vocabulary: ids go from 0 to ${vocabularySize - 1}`;
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
