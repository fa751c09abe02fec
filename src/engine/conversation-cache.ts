import type { SequencePages } from '../cache/sequence-pages.ts';
import { commonPrefixLength } from './common-prefix.ts';
import type { EvictableCache } from './scheduler.ts';

/** What a conversation has computed so far: token i of `tokens` is stored at position i of `pages`. */
interface CachedConversation {
  readonly tokens: readonly number[];
  readonly pages: SequencePages;
}

/** The pages of conversations that nobody runs at the moment, from the least to the most recently used. */
export class ConversationCache {
  /** A map remembers the order in which its keys were set. */
  readonly #conversations = new Map<number, CachedConversation>();

  /**
   * Keeps a conversation's pages, which belong to the cache from now on.
   *
   * @param tokens of the sequence; those beyond `pages.numTokens` are not computed and not kept
   */
  keep(conversation: number, tokens: readonly number[], pages: SequencePages): void {
    this.release(conversation);
    this.#conversations.set(conversation, { tokens: tokens.slice(0, pages.numTokens), pages });
  }

  /**
   * Takes a conversation out of the cache to go on with it. Its pages belong to the caller, cut back to what the prompt
   * shares with them, short of the prompt's last token: that one has to be computed, since its logits say what comes
   * next.
   */
  take(conversation: number | undefined, prompt: readonly number[]): SequencePages | undefined {
    const cached = this.#get(conversation);
    if (!cached) return undefined;
    this.#conversations.delete(conversation as number);
    const numShared = commonPrefixLength(cached.tokens, prompt);
    cached.pages.truncate(Math.min(numShared, prompt.length - 1));
    return cached.pages;
  }

  /** Lets a conversation's pages go. Nothing happens if it has none. */
  release(conversation: number): void {
    this.#conversations.get(conversation)?.pages.release();
    this.#conversations.delete(conversation);
  }

  /** Sealed and open pages that a conversation holds. */
  held(conversation: number | undefined): { readonly openPages: number; readonly sealedPages: number } {
    const cached = this.#get(conversation);
    return cached ? count(cached.pages) : { openPages: 0, sealedPages: 0 };
  }

  /** Conversations that may lose their pages, in the order in which they should, except one that is about to go on. */
  evictable(except: number | undefined): EvictableCache[] {
    return [...this.#conversations]
      .filter(([conversation]) => conversation !== except)
      .map(([conversation, { pages }]) => ({ id: conversation, ...count(pages) }));
  }

  #get(conversation: number | undefined): CachedConversation | undefined {
    return conversation === undefined ? undefined : this.#conversations.get(conversation);
  }

  /** For the integrity check. */
  allPages(): SequencePages[] {
    return [...this.#conversations.values()].map(({ pages }) => pages);
  }
}

function count(pages: SequencePages): { openPages: number; sealedPages: number } {
  const { open, sealed } = pages.ownedPages();
  return { openPages: open.length, sealedPages: sealed.length };
}
