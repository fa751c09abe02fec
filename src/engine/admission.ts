import { numSealedPages, type SequencePages } from '../cache/sequence-pages.ts';
import type { ConversationCache } from './conversation-cache.ts';
import type { EngineRun } from './engine-run.ts';
import type { KvMemory } from './kv-memory.ts';
import { planReservation } from './scheduler.ts';
import type { SequenceState } from './sequence.ts';

/** Gives waiting sequences their pages, as far as there are any. */
export class Admission {
  readonly #memory: KvMemory;
  readonly #conversations: ConversationCache;

  constructor(memory: KvMemory, conversations: ConversationCache) {
    this.#memory = memory;
    this.#conversations = conversations;
  }

  /**
   * Starts waiting sequences in the order in which they came, until one does not fit: one that needs much is not passed
   * by others for ever. Caches of conversations go where their pages are needed.
   *
   * @param waiting those that start are taken out
   * @param running by id; those that start are put in
   */
  admit(waiting: EngineRun[], running: Map<number, EngineRun>): void {
    for (let head = waiting[0]; head; head = waiting[0]) {
      if (!this.#makeRoom(head.sequence, [...running.values()])) return;
      waiting.shift();
      head.start(this.#takePages(head.sequence));
      running.set(head.sequence.id, head);
    }
  }

  /** Evicts what has to go before a sequence can start; false if there is no room however much goes. */
  #makeRoom({ request, maxLength }: SequenceState, running: readonly EngineRun[]): boolean {
    const { pools, format } = this.#memory;
    const held = this.#conversations.held(request.conversation);
    const need = {
      openPages: 1 - held.openPages,
      sealedPages: numSealedPages(format, maxLength) - held.sealedPages,
    };
    const reserved = running.map((run) => run.unallocatedPages(format));
    const capacity = {
      freeOpenPages: pools.open.numFree - sum(reserved.map(({ openPages }) => openPages)),
      unreservedSealedPages: pools.sealed.numFree - sum(reserved.map(({ sealedPages }) => sealedPages)),
    };
    const evicted = planReservation(need, capacity, this.#conversations.evictable(request.conversation));
    for (const conversation of evicted ?? []) this.#conversations.release(conversation);
    return evicted !== undefined;
  }

  /** Those of the request's conversation, or new ones. */
  #takePages({ request }: SequenceState): SequencePages {
    const cached = this.#conversations.take(request.conversation, request.promptTokens);
    return cached ?? this.#memory.createSequencePages();
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
