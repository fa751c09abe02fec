import type { Chat, ChatMessage, Model } from '../engine/types.ts';
import { ApiError, invalidRequest } from './api-error.ts';

export interface ConversationLimits {
  /** Of one tenant; the one that was not used for longest goes. */
  readonly mostPerTenant: number;
  /** One that was not used for so long is forgotten. */
  readonly idleMs: number;
}

interface Conversation {
  readonly tenant: string;
  readonly chat: Chat;
  lastUsedMs: number;
  isAnswering: boolean;
}

/** A turn of a conversation that may be taken now. */
export interface Turn {
  readonly chat: Chat;
  /** The new message. */
  readonly content: string;
  /** 1 for the first turn: the server knows of no earlier one. */
  readonly number: number;
  /** To be called when the answer is there, or will not come. */
  end(): void;
}

/**
 * Conversations that clients have named. The server holds their messages, so that a request need send only the new one, and the engine
 * their pages, open ones included, so that a turn computes only what is new. Tenants have names of their own.
 */
export class Conversations {
  readonly #model: Pick<Model, 'chat'>;
  readonly #limits: ConversationLimits;
  readonly #nowMs: () => number;
  /** In the order in which they were used. */
  readonly #conversations = new Map<string, Conversation>();

  constructor(model: Pick<Model, 'chat'>, limits: ConversationLimits, nowMs: () => number = () => performance.now()) {
    this.#model = model;
    this.#limits = limits;
    this.#nowMs = nowMs;
  }

  get size(): number {
    return this.#conversations.size;
  }

  /**
   * Takes the next turn of a conversation, or the first one of a new one.
   *
   * @param messages the new message of the user alone, or all messages so far and the new one; a new conversation may begin with the system's
   * @throws ApiError 409 while it is answering, 400 for messages that do not go on with it
   */
  take(tenant: string, name: string, messages: readonly ChatMessage[]): Turn {
    this.forgetIdle();
    const key = JSON.stringify([tenant, name]);
    const known = this.#conversations.get(key);
    if (known?.isAnswering) {
      const message = 'the conversation is still answering: wait for its answer before sending more';
      throw new ApiError(409, message, { param: 'kvant.conversation', code: 'conversation_busy' });
    }
    const content = newMessage(known?.chat.messages, messages);
    const conversation = known ?? this.#begin(tenant, messages);
    conversation.isAnswering = true;
    this.#use(key, conversation);
    if (!known) this.#makeRoom(tenant);
    return {
      chat: conversation.chat,
      content,
      number: 1 + conversation.chat.messages.filter(({ role }) => role === 'user').length,
      end: () => {
        conversation.isAnswering = false;
        conversation.lastUsedMs = this.#nowMs();
      },
    };
  }

  /** Forgets all. */
  async clear(): Promise<void> {
    const chats = [...this.#conversations.values()].map(({ chat }) => chat);
    this.#conversations.clear();
    await Promise.allSettled(chats.map((chat) => chat.clear()));
  }

  /** Forgets those that were not used for long. */
  forgetIdle(): void {
    const sinceMs = this.#nowMs() - this.#limits.idleMs;
    for (const [key, { lastUsedMs, isAnswering }] of this.#conversations) {
      if (!isAnswering && lastUsedMs < sinceMs) this.#forget(key);
    }
  }

  #begin(tenant: string, messages: readonly ChatMessage[]): Conversation {
    const [first] = messages;
    const chat = this.#model.chat(first.role === 'system' ? { system: first.content } : {});
    return { tenant, chat, lastUsedMs: this.#nowMs(), isAnswering: false };
  }

  #use(key: string, conversation: Conversation): void {
    this.#conversations.delete(key);
    conversation.lastUsedMs = this.#nowMs();
    this.#conversations.set(key, conversation);
  }

  /** Forgets the oldest ones that are too many; never one that is answering. */
  #makeRoom(tenant: string): void {
    const own = [...this.#conversations].filter(([, conversation]) => conversation.tenant === tenant);
    const idle = own.filter(([, { isAnswering }]) => !isAnswering);
    for (const [key] of idle.slice(0, Math.max(0, own.length - this.#limits.mostPerTenant))) this.#forget(key);
  }

  #forget(key: string): void {
    const conversation = this.#conversations.get(key);
    this.#conversations.delete(key);
    // Where the engine is gone, so are the pages.
    conversation?.chat.clear().catch(() => undefined);
  }
}

/** @param held undefined for a conversation that begins */
function newMessage(held: readonly ChatMessage[] | undefined, given: readonly ChatMessage[]): string {
  const last = given[given.length - 1];
  if (last.role !== 'user') {
    throw invalidRequest('messages', "the last message of a turn must be the user's");
  }
  const before = given.slice(0, -1);
  if (!held) {
    if (before.length === 0 || (before.length === 1 && before[0].role === 'system')) return last.content;
    const message = 'a new conversation begins with one message of the user, and may have one of the system before it';
    throw invalidRequest('messages', message, 'conversation_mismatch');
  }
  if (before.length === 0 || sameMessages(before, held)) return last.content;
  const message =
    'the messages are not those of this conversation: send the new one alone, or another kvant.conversation';
  throw invalidRequest('messages', message, 'conversation_mismatch');
}

function sameMessages(some: readonly ChatMessage[], others: readonly ChatMessage[]): boolean {
  return (
    some.length === others.length &&
    some.every(({ role, content }, index) => role === others[index].role && content === others[index].content)
  );
}
