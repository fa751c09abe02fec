import { commonPrefixLength } from './common-prefix.ts';
import type { KvSequence } from './kv-sequence.ts';

/** What a conversation has computed so far: token i of `tokens` is stored at position i of `kv`. */
interface CachedConversation {
  readonly tokens: readonly number[];
  readonly kv: KvSequence;
  readonly lastUsed: number;
}

/**
 * The pages of conversations that nobody runs at the moment, open pages included: so a turn computes only what is new. Sealed pages are in
 * the prefix tree as well, and stay there when a conversation loses its own.
 */
export class ConversationCache {
  /** A map remembers the order in which its keys were set. */
  readonly #conversations = new Map<number, CachedConversation>();

  /**
   * Keeps a conversation's pages, which belong to the cache from now on.
   *
   * @param tokens of the sequence; those beyond what is stored are not kept
   * @param lastUsed a moment of the prefix tree
   */
  keep(conversation: number, tokens: readonly number[], kv: KvSequence, lastUsed: number): void {
    this.release(conversation);
    this.#conversations.set(conversation, { tokens: tokens.slice(0, kv.pages.numTokens), kv, lastUsed });
  }

  /** A conversation's pages, and its tokens that a prompt begins with. They stay in the cache. */
  find(conversation: number | undefined, prompt: readonly number[]): { kv: KvSequence; numShared: number } | undefined {
    const cached = conversation === undefined ? undefined : this.#conversations.get(conversation);
    return cached && { kv: cached.kv, numShared: commonPrefixLength(cached.tokens, prompt) };
  }

  /** Takes a conversation out of the cache. Its pages belong to the caller. */
  take(conversation: number): KvSequence | undefined {
    const kv = this.#conversations.get(conversation)?.kv;
    this.#conversations.delete(conversation);
    return kv;
  }

  /** What a conversation holds, and its tokens. */
  get(conversation: number): { readonly kv: KvSequence; readonly tokens: readonly number[] } | undefined {
    return this.#conversations.get(conversation);
  }

  /** Lets a conversation's pages go. Nothing happens if it has none. */
  release(conversation: number): void {
    this.take(conversation)?.release();
  }

  /** The conversation that has not been used for longest; of a tenant, if one is given. */
  oldest(tenant?: string): { readonly conversation: number; readonly lastUsed: number } | undefined {
    for (const [conversation, { kv, lastUsed }] of this.#conversations) {
      if (tenant === undefined || kv.chain.chain.tenant === tenant) return { conversation, lastUsed };
    }
    return undefined;
  }

  all(): KvSequence[] {
    return [...this.#conversations.values()].map(({ kv }) => kv);
  }
}
