import type { Call, EngineClient } from './engine-client.ts';
import { MAX_SEED } from './defaults.ts';
import { KvantError } from '../errors.ts';
import {
  parseChatOptions,
  parseGenerateOptions,
  parseLoadFromFolder,
  parseLoadSession,
  parsePath,
  parsePrefix,
  parseSaveSession,
  parseSaveToFolder,
  parseStatsOptions,
} from './options.ts';
import type { CallEvent } from './protocol.ts';
import { RemoteChat, type ChatEngine } from './remote-chat.ts';
import { RemoteGeneration } from './remote-generation.ts';
import type {
  LoadedFromFolder,
  LoadedSession,
  LoadFromFolderOptions,
  LoadSessionOptions,
  PromptText,
  SavedSession,
  SavedToFolder,
  SaveSessionOptions,
  SaveToFolderOptions,
} from './session-types.ts';
import type { EngineStats, StatsOptions } from './stats-types.ts';
import type { Chat, GenerateOptions, Generation, Model, ModelInfo } from './types.ts';

/** A model whose engine runs in a worker. */
export class RemoteModel implements Model {
  readonly info: ModelInfo;
  readonly #client: EngineClient;
  #nextConversation = 0;

  /** @param client of a worker that has loaded the model */
  constructor(client: EngineClient, info: ModelInfo) {
    this.#client = client;
    this.info = info;
  }

  generate(options: GenerateOptions): Generation {
    return startGeneration(this.#client, parseGenerateOptions(options));
  }

  chat(options: { readonly system?: string } = {}): Chat {
    const { system } = parseChatOptions(options);
    return new RemoteChat(this.#chatEngine(this.#nextConversation++), { system });
  }

  async openChat(path: string, options: LoadSessionOptions = {}): Promise<Chat> {
    const restored = await this.loadSession(path, options);
    const { messages, kv } = restored;
    if (!messages) {
      const message = `the session file "${path}" holds a text without messages, not a conversation: use loadSession, or another file`;
      throw new KvantError('SESSION_MISMATCH', message);
    }
    const { tenant } = options;
    const place = { ...(kv !== this.info.kvFormat && { kv }), ...(tenant !== undefined && { tenant }) };
    return new RemoteChat(this.#chatEngine(this.#nextConversation++), { messages, place, restored });
  }

  #chatEngine(conversation: number): ChatEngine {
    return {
      generate: (generateOptions) => startGeneration(this.#client, generateOptions, conversation),
      save: (path, saveOptions) => this.saveSession(path, saveOptions),
      release: () => this.#client.call('releaseConversation', { conversation }).result,
      fork: async () => {
        const to = this.#nextConversation++;
        await this.#client.call('forkConversation', { from: conversation, to }).result;
        return this.#chatEngine(to);
      },
    };
  }

  async declarePublicPrefix(prefix: PromptText): Promise<void> {
    await this.#client.call('declarePublicPrefix', parsePrefix(prefix)).result;
  }

  async saveSession(path: string, options: SaveSessionOptions): Promise<SavedSession> {
    const params = { ...parsePath('path', path), ...parseSaveSession(options) };
    return this.#client.call('saveSession', params).result;
  }

  async loadSession(path: string, options: LoadSessionOptions = {}): Promise<LoadedSession> {
    const params = { ...parsePath('path', path), ...parseLoadSession(options) };
    return this.#client.call('loadSession', params).result;
  }

  async saveToFolder(folder: string, options: SaveToFolderOptions): Promise<SavedToFolder> {
    const params = { ...parsePath('folder', folder), ...parseSaveToFolder(options) };
    return this.#client.call('saveToFolder', params).result;
  }

  async loadFromFolder(folder: string, options: LoadFromFolderOptions): Promise<LoadedFromFolder | undefined> {
    const params = { ...parsePath('folder', folder), ...parseLoadFromFolder(options) };
    return this.#client.call('loadFromFolder', params).result;
  }

  async stats(options: StatsOptions = {}): Promise<EngineStats> {
    return this.#client.call('stats', parseStatsOptions(options)).result;
  }

  async encode(prompt: PromptText): Promise<number[]> {
    return [...(await this.#client.call('encode', parsePrefix(prompt)).result)];
  }

  tokenize(text: string, { parseSpecial = false }: { readonly parseSpecial?: boolean } = {}): Promise<number[]> {
    return this.#client.call('tokenize', { text, parseSpecial }).result;
  }

  detokenize(tokenIds: readonly number[]): Promise<string> {
    return this.#client.call('detokenize', { tokenIds: [...tokenIds] }).result;
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** @param options checked already */
function startGeneration(client: EngineClient, options: GenerateOptions, conversation?: number): Generation {
  const { onLogProbs, onStart, onPrefillProgress, signal, seed = randomSeed(), ...plain } = options;
  const params = { ...plain, seed, ...(conversation !== undefined && { conversation }) };
  return new RemoteGeneration((onChunk) => {
    const call = client.call('generate', params, (event: CallEvent) => {
      if (event.type === 'chunk') onChunk(event.chunk);
      else if (event.type === 'logProbs') onLogProbs?.(event.position, event.logProbs);
      else if (event.type === 'start') {
        onStart?.({ promptTokens: event.promptTokens, cachedTokens: event.cachedTokens });
      } else if (event.type === 'prefillProgress') {
        onPrefillProgress?.({ computedTokens: event.computedTokens, totalTokens: event.totalTokens });
      }
    });
    if (signal) abortOnSignal(call, signal);
    return call;
  });
}

function abortOnSignal(call: Call<'generate'>, signal: AbortSignal): void {
  if (signal.aborted) return call.abort();
  const removeListener = (): void => signal.removeEventListener('abort', call.abort);
  signal.addEventListener('abort', call.abort, { once: true });
  // A signal that outlives many generations must not gather their listeners.
  call.result.then(removeListener, removeListener);
}

function randomSeed(): number {
  return Math.floor(Math.random() * (MAX_SEED + 1));
}
