import { KvantError } from '../errors.ts';
import { parseChatSendOptions } from './options.ts';
import type { LoadedSession, SavedSession, SaveSessionOptions, SessionPlace } from './session-types.ts';
import type { Chat, ChatMessage, ChatSendOptions, GenerateOptions, Generation } from './types.ts';

/** What a chat needs of its model. */
export interface ChatEngine {
  /** Generates within the chat's conversation. */
  generate(options: GenerateOptions): Generation;
  save(path: string, options: SaveSessionOptions): Promise<SavedSession>;
  /** Lets the conversation's pages go. */
  release(): Promise<void>;
  /** Another conversation that begins with this one's pages. */
  fork(): Promise<ChatEngine>;
}

/** How a chat begins. */
export interface ChatStart {
  readonly system?: string | undefined;
  /** What was said before; the system's message is the first one then. */
  readonly messages?: readonly ChatMessage[];
  /** Where messages go that say nothing else. */
  readonly place?: SessionPlace;
  readonly restored?: LoadedSession;
}

/** The messages of a conversation. The engine finds by itself what of them it has computed before. */
export class RemoteChat implements Chat {
  readonly #engine: ChatEngine;
  readonly #system: readonly ChatMessage[];
  #messages: readonly ChatMessage[];
  readonly restored?: LoadedSession;
  /** Where messages go that say nothing else, and where the last one went. */
  readonly #defaultPlace: SessionPlace;
  #lastPlace: SessionPlace;
  /** Settles when the answer under way is in `messages`; never rejects. */
  #answering: { readonly done: Promise<void>; abort(): void } | undefined;

  constructor(engine: ChatEngine, { system, messages, place = {}, restored }: ChatStart = {}) {
    this.#engine = engine;
    const [first] = messages ?? [];
    const given = system === undefined ? undefined : ({ role: 'system', content: system } as const);
    const systemMessage = first?.role === 'system' ? first : given;
    this.#system = systemMessage ? [systemMessage] : [];
    this.#messages = messages ?? this.#system;
    this.#defaultPlace = place;
    this.#lastPlace = place;
    if (restored) this.restored = restored;
  }

  get messages(): readonly ChatMessage[] {
    return this.#messages;
  }

  /** @throws KvantError INVALID_OPTION, also while another answer is under way */
  send(content: string, options: ChatSendOptions = {}): Generation {
    const parsed = { ...this.#defaultPlace, ...parseChatSendOptions(options) };
    this.#checkIdle('sending more');
    const before = this.#messages;
    const controller = new AbortController();
    const signal = parsed.signal ? AbortSignal.any([parsed.signal, controller.signal]) : controller.signal;
    const asked: readonly ChatMessage[] = [...before, { role: 'user', content }];
    const generation = this.#engine.generate({ ...parsed, messages: asked, signal });
    this.#messages = asked;
    const { kv, tenant } = parsed;
    this.#lastPlace = { ...(kv !== undefined && { kv }), ...(tenant !== undefined && { tenant }) };
    const done = generation.result.then(
      ({ text }) => this.#endAnswer([...asked, { role: 'assistant', content: text }]),
      // What could not be answered is not part of the conversation: it would fail again with every later message.
      () => this.#endAnswer(before),
    );
    this.#answering = { done, abort: () => controller.abort() };
    return generation;
  }

  rewind(numTurns = 1): void {
    this.#checkIdle('taking turns back');
    const turns = this.#messages.flatMap(({ role }, index) => (role === 'user' ? [index] : []));
    if (!Number.isInteger(numTurns) || numTurns < 0 || numTurns > turns.length) {
      const message = `cannot take back ${numTurns} turns: the chat has ${turns.length}`;
      throw new KvantError('INVALID_OPTION', message);
    }
    if (numTurns > 0) this.#messages = this.#messages.slice(0, turns[turns.length - numTurns]);
  }

  async fork(): Promise<Chat> {
    this.#checkIdle('forking it');
    const [messages, place] = [this.#messages, this.#defaultPlace];
    return new RemoteChat(await this.#engine.fork(), { system: this.#system[0]?.content, messages, place });
  }

  async save(path: string, options: { readonly title?: string } = {}): Promise<SavedSession> {
    this.#checkIdle('saving it');
    if (this.#messages.length === 0) {
      throw new KvantError('INVALID_OPTION', 'the chat has no messages yet: send one before saving it');
    }
    return this.#engine.save(path, { ...options, ...this.#lastPlace, messages: this.#messages });
  }

  async clear(): Promise<void> {
    this.#answering?.abort();
    await this.#answering?.done;
    this.#messages = this.#system;
    await this.#engine.release();
  }

  /** @param what cannot be done now, for the error */
  #checkIdle(what: string): void {
    if (!this.#answering) return;
    const message = `the chat is still answering: wait for its result or abort it before ${what}`;
    throw new KvantError('INVALID_OPTION', message);
  }

  #endAnswer(messages: readonly ChatMessage[]): void {
    this.#messages = messages;
    this.#answering = undefined;
  }
}
