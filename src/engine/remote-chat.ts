import { KvantError } from '../errors.ts';
import { parseChatSendOptions } from './options.ts';
import type { Chat, ChatMessage, ChatSendOptions, GenerateOptions, Generation } from './types.ts';

/** What a chat needs of its model. */
export interface ChatEngine {
  /** Generates within the chat's conversation. */
  generate(options: GenerateOptions): Generation;
  /** Lets the conversation's pages go. */
  release(): Promise<void>;
  /** Another conversation that begins with this one's pages. */
  fork(): Promise<ChatEngine>;
}

/** The messages of a conversation. The engine finds by itself what of them it has computed before. */
export class RemoteChat implements Chat {
  readonly #engine: ChatEngine;
  readonly #system: readonly ChatMessage[];
  #messages: readonly ChatMessage[];
  /** Settles when the answer under way is in `messages`; never rejects. */
  #answering: { readonly done: Promise<void>; abort(): void } | undefined;

  constructor(system: string | undefined, engine: ChatEngine, messages: readonly ChatMessage[] = []) {
    this.#engine = engine;
    this.#system = system === undefined ? [] : [{ role: 'system', content: system }];
    this.#messages = messages.length > 0 ? messages : this.#system;
  }

  get messages(): readonly ChatMessage[] {
    return this.#messages;
  }

  /** @throws KvantError INVALID_OPTION, also while another answer is under way */
  send(content: string, options: ChatSendOptions = {}): Generation {
    const parsed = parseChatSendOptions(options);
    this.#checkIdle('sending more');
    const before = this.#messages;
    const controller = new AbortController();
    const signal = parsed.signal ? AbortSignal.any([parsed.signal, controller.signal]) : controller.signal;
    const asked: readonly ChatMessage[] = [...before, { role: 'user', content }];
    const generation = this.#engine.generate({ ...parsed, messages: asked, signal });
    this.#messages = asked;
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
    const messages = this.#messages;
    return new RemoteChat(this.#system[0]?.content, await this.#engine.fork(), messages);
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
