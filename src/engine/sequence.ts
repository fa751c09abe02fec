import type { SequencePages } from '../cache/sequence-pages.ts';
import type { EngineRequest } from './request.ts';
import type { RunningSequence } from './scheduler.ts';

export type SequenceStatus = 'waiting' | 'running' | 'finished' | 'aborted';

/** One sequence of tokens on its way through the engine. */
export interface SequenceState {
  readonly id: number;
  readonly request: EngineRequest;
  /** The prompt, then what has been generated. */
  readonly tokens: number[];
  /** Longest that it may become, the prompt included. */
  readonly maxLength: number;
  /** Holds the first `pages.numTokens` of the tokens; a waiting sequence has none. */
  pages: SequencePages | undefined;
  /** Prompt tokens that were in the cache when it started. */
  numCachedTokens: number;
  status: SequenceStatus;
}

/** @param ctx most tokens that a sequence may have */
export function createSequence(id: number, request: EngineRequest, ctx: number): SequenceState {
  const { promptTokens, maxTokens = Infinity } = request;
  return {
    id,
    request,
    tokens: [...promptTokens],
    maxLength: Math.min(ctx, promptTokens.length + maxTokens),
    pages: undefined,
    numCachedTokens: 0,
    status: 'waiting',
  };
}

/** The pages of a sequence that has started. @throws RangeError if it has not */
export function pagesOf(sequence: SequenceState): SequencePages {
  if (!sequence.pages) throw new RangeError(`sequence ${sequence.id} is ${sequence.status} and owns no pages`);
  return sequence.pages;
}

/** What the scheduler knows of a sequence that has started. */
export function toRunningSequence(sequence: SequenceState): RunningSequence {
  const pages = pagesOf(sequence);
  return {
    id: sequence.id,
    numPending: sequence.tokens.length - pages.numTokens,
    numTokensToFull: pages.numTokensToFull,
    numDraft: 0,
  };
}

export function numCompletionTokens({ tokens, request }: SequenceState): number {
  return tokens.length - request.promptTokens.length;
}
