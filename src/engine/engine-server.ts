import { KvantError } from '../errors.ts';
import type { DownloadProgress } from '../model/download.ts';
import type { LoadedEngine } from './load-engine.ts';
import { createEngineRequest, encodePrefix, encodePrompt } from './create-request.ts';
import { loadFromFolder, loadSession } from './load-session.ts';
import {
  toPlainError,
  type CallEvent,
  type CallMessage,
  type EngineCalls,
  type EngineLoadOptions,
} from './protocol.ts';
import type { FromEngine, ToEngine } from './protocol.ts';
import type { RequestEvents } from './request.ts';
import { saveSession, saveToFolder } from './save-session.ts';
import type { LoadProgress } from './types.ts';

export interface EngineServerParts {
  /** @param transfer buffers that change hands instead of being copied */
  post(message: FromEngine, transfer?: readonly ArrayBuffer[]): void;
  /** @param onDownload called where a model comes over the network */
  load(
    options: EngineLoadOptions,
    onProgress: (progress: LoadProgress) => void,
    onDownload: (progress: DownloadProgress) => void,
  ): Promise<LoadedEngine>;
}

/** The worker's end of the line: turns messages into calls of an engine, and its answers into messages. */
export class EngineServer {
  readonly #parts: EngineServerParts;
  #loaded: LoadedEngine | undefined;
  /** Generations under way: call id to what aborts it. */
  readonly #generations = new Map<number, () => void>();

  constructor(parts: EngineServerParts) {
    this.#parts = parts;
  }

  /** Handles a message. What goes wrong is told to the caller, never thrown. */
  async receive(message: ToEngine): Promise<void> {
    if (message.kind === 'abort') {
      return this.#generations.get(message.id)?.();
    }
    const { id } = message;
    try {
      this.#parts.post({ kind: 'result', id, value: await this.#call(message) });
    } catch (error) {
      this.#parts.post({ kind: 'error', id, error: toPlainError(error) });
    }
  }

  async #call(message: CallMessage): Promise<EngineCalls[CallMessage['name']]['result']> {
    if (message.name === 'load') return this.#load(message.id, message.params);
    const loaded = this.#requireLoaded();
    const { engine, tokenizer } = loaded;
    switch (message.name) {
      case 'generate':
        return this.#generate(message.id, message.params);
      case 'tokenize':
        return tokenizer.encode(message.params.text, { parseSpecial: message.params.parseSpecial });
      case 'detokenize':
        return tokenizer.decode(message.params.tokenIds);
      case 'releaseConversation':
        return engine.releaseConversation(message.params.conversation) as undefined;
      case 'forkConversation':
        return engine.forkConversation(message.params.from, message.params.to) as undefined;
      case 'declarePublicPrefix':
        return engine.declarePublicPrefix(encodePrefix(message.params, loaded)) as undefined;
      case 'stats':
        return engine.stats(message.params);
      case 'encode':
        return encodePrompt(message.params, loaded);
      case 'saveSession':
        return saveSession(loaded, message.params);
      case 'loadSession':
        return loadSession(loaded, message.params);
      case 'saveToFolder':
        return saveToFolder(loaded, message.params);
      case 'loadFromFolder':
        return loadFromFolder(loaded, message.params);
    }
  }

  async #load(id: number, options: EngineLoadOptions): Promise<EngineCalls['load']['result']> {
    if (this.#loaded) throw new RangeError('the worker has loaded a model already');
    this.#loaded = await this.#parts.load(
      options,
      (progress) => this.#event(id, { type: 'loadProgress', progress }),
      (progress) => this.#event(id, { type: 'downloadProgress', progress }),
    );
    return this.#loaded.info;
  }

  async #generate(id: number, params: EngineCalls['generate']['params']): Promise<EngineCalls['generate']['result']> {
    const loaded = this.#requireLoaded();
    // An abort may come while the request is still being made.
    let isAborted = false;
    this.#generations.set(id, () => (isAborted = true));
    try {
      const request = await createEngineRequest(params, loaded);
      const generation = loaded.engine.submit(request, this.#eventsOf(id));
      const abort = (): void => loaded.engine.abort(generation.id);
      this.#generations.set(id, abort);
      if (isAborted) abort();
      return await generation.result;
    } finally {
      this.#generations.delete(id);
    }
  }

  #eventsOf(id: number): RequestEvents {
    return {
      onStart: (usage) => this.#event(id, { type: 'start', ...usage }),
      onChunk: (chunk) => this.#event(id, { type: 'chunk', chunk }),
      onLogProbs: (position, logProbs) => {
        this.#event(id, { type: 'logProbs', position, logProbs }, [logProbs.buffer as ArrayBuffer]);
      },
      onPrefillProgress: (progress) => this.#event(id, { type: 'prefillProgress', ...progress }),
    };
  }

  #event(id: number, event: CallEvent, transfer?: readonly ArrayBuffer[]): void {
    this.#parts.post({ kind: 'event', id, event }, transfer);
  }

  #requireLoaded(): LoadedEngine {
    if (!this.#loaded) throw new KvantError('ENGINE_FAILED', 'no model is loaded');
    return this.#loaded;
  }
}
