import { TokenChain } from '../cache/prefix-chain.ts';
import type { SequencePages } from '../cache/sequence-pages.ts';
import type { KvCache } from './kv-memory.ts';
import type { KvSequence } from './kv-sequence.ts';
import { DEFAULT_TENANT, type EngineRequest } from './request.ts';
import type { RunningSequence } from './scheduler.ts';

export type SequenceStatus = 'waiting' | 'running' | 'finished' | 'aborted';

/** One sequence of tokens on its way through the engine. */
export interface SequenceState {
  readonly id: number;
  readonly request: EngineRequest;
  /** The format of its pages. */
  readonly cache: KvCache;
  /** The prompt, then what has been generated. */
  readonly tokens: number[];
  /** Its full pages, for the prefix tree. */
  readonly chain: TokenChain;
  /** Longest that it may become, the prompt included. */
  readonly maxLength: number;
  /** Holds the first tokens; a waiting sequence has none. */
  kv: KvSequence | undefined;
  /** Prompt tokens that were in the cache when it started; undefined before. */
  numCachedTokens: number | undefined;
  /** How many of the wanted log-probabilities have been given. */
  numLogProbsGiven: number;
  /** Tokens that may come after the last one, for the next step to check. */
  draft: readonly number[];
  numPreemptions: number;
  status: SequenceStatus;
}

/** Where a sequence's pages may come from. */
export interface SequencePlace {
  readonly cache: KvCache;
  /** First tokens that every tenant may share. */
  readonly numPublicTokens: number;
  /** Most tokens that a sequence may have. */
  readonly maxTokens: number;
}

export function createSequence(id: number, request: EngineRequest, place: SequencePlace): SequenceState {
  const { promptTokens, maxTokens = Infinity, tenant = DEFAULT_TENANT } = request;
  const { cache, numPublicTokens } = place;
  const tokens = [...promptTokens];
  return {
    id,
    request,
    cache,
    tokens,
    chain: new TokenChain({ root: cache.root, shape: cache.shape, tenant, numPublicTokens }, tokens),
    maxLength: Math.min(place.maxTokens, promptTokens.length + maxTokens),
    kv: undefined,
    numCachedTokens: undefined,
    numLogProbsGiven: 0,
    draft: [],
    numPreemptions: 0,
    status: 'waiting',
  };
}

/** The pages of a sequence that has started. @throws RangeError if it has not */
export function pagesOf(sequence: SequenceState): SequencePages {
  return kvOf(sequence).pages;
}

/** @throws RangeError if the sequence has not started */
export function kvOf({ id, kv, status }: SequenceState): KvSequence {
  if (!kv) throw new RangeError(`sequence ${id} is ${status} and owns no pages`);
  return kv;
}

/** What the scheduler knows of a sequence that has started. */
export function toRunningSequence(sequence: SequenceState): RunningSequence {
  const pages = pagesOf(sequence);
  return {
    id: sequence.id,
    numPending: sequence.tokens.length - pages.numTokens,
    numTokensToFull: pages.numTokensToFull,
    numDraft: sequence.draft.length,
  };
}

export function numCompletionTokens({ tokens, request }: SequenceState): number {
  return tokens.length - request.promptTokens.length;
}

/** Most tokens of a sequence that may be taken from a cache: not those whose logits are wanted, the last one among them. */
export function mostCachedTokens({ tokens, request, numLogProbsGiven }: SequenceState): number {
  if (request.reusePrefix === false) return 0;
  return Math.min(tokens.length - 1, request.logProbsAt[numLogProbsGiven] ?? Infinity);
}
