import { batch, computed, signal, type Signal } from '@preact/signals';
import { streamAnswer, type AnswerFigures, type AnswerRequest } from '../api/answer-stream.ts';
import type { ApiClient } from '../api/api-client.ts';
import { messagesFor, withChanges, withNode, type ChatNode } from '../chat/conversation.ts';
import { newId } from '../text/new-id.ts';
import type { ChatStore } from './chat-store.ts';
import type { ServerInfo } from './server-info.ts';
import type { SpeedHistory } from './speed-history.ts';

/** Text is shown as often as that, and stored as often as that. */
const SHOW_MS = 50;
const STORE_MS = 1000;

/** An answer that is on its way. */
export interface RunningAnswer {
  readonly chatId: string;
  readonly nodeId: string;
  readonly text: Signal<string>;
  readonly abort: AbortController;
}

/** Asks the server for answers, and puts them into the chats; one at a time in each chat. */
export class Answering {
  readonly running = signal<readonly RunningAnswer[]>([]);
  readonly isBusy = computed(() => this.running.value.length > 0);
  readonly #api: ApiClient;
  readonly #chats: ChatStore;
  readonly #server: ServerInfo;
  readonly #speed: SpeedHistory;

  constructor(api: ApiClient, chats: ChatStore, server: ServerInfo, speed: SpeedHistory) {
    this.#api = api;
    this.#chats = chats;
    this.#server = server;
    this.#speed = speed;
  }

  in(chatId: string | undefined): RunningAnswer | undefined {
    return this.running.value.find((answer) => answer.chatId === chatId);
  }

  stop(chatId: string): void {
    this.in(chatId)?.abort.abort();
  }

  /** Answers a message, as another sibling of the answers that it has. */
  async answer(chatId: string, messageId: string): Promise<void> {
    const chat = this.#chats.get(chatId);
    if (!chat || this.in(chatId)) return;
    const { kv, temperature, maxTokens, seed } = chat.settings;
    const model = this.#server.model.value?.id ?? '';
    const request = { model, messages: messagesFor(chat, messageId), kv, temperature, maxTokens, seed };
    const node: ChatNode = {
      id: newId(),
      parent: messageId,
      role: 'assistant',
      content: '',
      state: 'streaming',
    };
    const answer = { chatId, nodeId: node.id, text: signal(''), abort: new AbortController() };
    this.running.value = [...this.running.value, answer];
    const stored = this.#chats.update(chatId, (current) => withNode(current, node, Date.now()));
    const changes = await this.#collect(answer, request);
    // Together, so that no frame shows the one without the other.
    const whole = batch(() => {
      this.running.value = this.running.value.filter((other) => other !== answer);
      return this.#chats.update(chatId, (current) => withChanges(current, node.id, changes));
    });
    await Promise.all([stored, whole]);
  }

  /** Reads the stream to its end; what became of the answer. */
  async #collect(answer: RunningAnswer, request: AnswerRequest): Promise<Partial<ChatNode>> {
    const { signal: aborted } = answer.abort;
    let content = '';
    let finishReason: string | undefined;
    let figures: AnswerFigures = {};
    const show = setInterval(() => (answer.text.value = content), SHOW_MS);
    const store = setInterval(() => this.#storePartly(answer, content), STORE_MS);
    this.#speed.start();
    try {
      for await (const piece of streamAnswer(this.#api, request, aborted)) {
        if (piece.text) this.#speed.count();
        content += piece.text;
        finishReason = piece.finishReason ?? finishReason;
        figures = { ...figures, ...piece.figures };
      }
      return { content, state: 'done', finishReason, figures };
    } catch (error) {
      if (aborted.aborted) return { content, state: 'stopped', figures };
      return { content, state: 'failed', problem: error instanceof Error ? error.message : String(error), figures };
    } finally {
      clearInterval(show);
      clearInterval(store);
      this.#speed.end();
    }
  }

  #storePartly({ chatId, nodeId }: RunningAnswer, content: string): void {
    void this.#chats.update(chatId, (chat) => withChanges(chat, nodeId, { content }));
  }
}
