import { tokensOf, type TraceRequest } from './trace.ts';

/** A request that a cache serves without computing it: its prompt, and all tokens that it has in the end. */
export interface ServedTokens {
  readonly tenant: string;
  readonly prompt: readonly number[];
  /** The prompt and what is stored of the answer: all but its last token, after which nothing came. */
  readonly stored: readonly number[];
}

/** A cache of a certain size, as far as it matters what stays in it. */
export interface ResidencyModel {
  /**
   * Serves a request alone, from its beginning to its end: what is there of its prompt is used, everything else takes room, and whatever was
   * not used for longest goes.
   *
   * @returns tokens of the prompt that were there; undefined if the cache is too small for the request, which changes nothing
   */
  serve(request: ServedTokens): number | undefined;
  /** How many of a sequence's first tokens are there now. Nothing counts as used. */
  cachedTokens(tenant: string, tokens: readonly number[]): number;
}

/** What a trace has found in a cache. */
export interface ReplayResult {
  readonly numRequests: number;
  readonly numPromptTokens: number;
  /** Of the prompt tokens, those that were in the cache. */
  readonly numHitTokens: number;
  /** Requests that are longer than the whole cache: nothing of them hits. */
  readonly numTooLong: number;
}

export interface ReplayOptions {
  readonly vocabularySize: number;
  /** Called between requests; may throw to end the replay, and gives other events a chance. */
  readonly onRequest?: (index: number) => Promise<void>;
}

/** Serves the requests of a trace one after the other, in their order. */
export async function replayTrace(
  model: ResidencyModel,
  trace: readonly TraceRequest[],
  { vocabularySize, onRequest }: ReplayOptions,
): Promise<ReplayResult> {
  let [numPromptTokens, numHitTokens, numTooLong] = [0, 0, 0];
  for (const [index, { tenant, prompt, output }] of trace.entries()) {
    await onRequest?.(index);
    const promptTokens = tokensOf(prompt, vocabularySize);
    const all = [...promptTokens, ...tokensOf([output], vocabularySize)];
    const stored = all.slice(0, Math.max(promptTokens.length, all.length - 1));
    const numHit = model.serve({ tenant, prompt: promptTokens, stored });
    numPromptTokens += promptTokens.length;
    numHitTokens += numHit ?? 0;
    if (numHit === undefined) numTooLong++;
  }
  return { numRequests: trace.length, numPromptTokens, numHitTokens, numTooLong };
}

const TENANT = 'resident';
/** Ids of spans that no trace has. */
const FIRST_ID = 2 ** 31;

/** What of conversations is in a cache. */
export interface Residents {
  /** Of which everything is there that the cache kept of them at first. */
  readonly numConversations: number;
  /** Of all that something is there of. */
  readonly numTokens: number;
}

/**
 * How many conversations stay in a cache that have nothing in common: as many are served as it takes for the first page of the oldest to go.
 *
 * @param numTokens of each
 */
export async function countResident(
  model: ResidencyModel,
  numTokens: number,
  { vocabularySize, onRequest }: ReplayOptions,
): Promise<Residents> {
  const conversations: { readonly tokens: readonly number[]; readonly numKept: number }[] = [];
  const cachedOf = ({ tokens }: { readonly tokens: readonly number[] }): number => model.cachedTokens(TENANT, tokens);
  do {
    await onRequest?.(conversations.length);
    const tokens = tokensOf([{ id: FIRST_ID + conversations.length, numTokens }], vocabularySize);
    if (model.serve({ tenant: TENANT, prompt: tokens, stored: tokens }) === undefined) {
      return { numConversations: 0, numTokens: 0 };
    }
    conversations.push({ tokens, numKept: model.cachedTokens(TENANT, tokens) });
  } while (cachedOf(conversations[0]) === conversations[0].numKept);
  return {
    numConversations: conversations.filter((conversation) => cachedOf(conversation) === conversation.numKept).length,
    numTokens: conversations.reduce((total, conversation) => total + cachedOf(conversation), 0),
  };
}
