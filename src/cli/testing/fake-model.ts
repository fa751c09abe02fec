import type {
  LoadedFromFolder,
  LoadedSession,
  LoadFromFolderOptions,
  LoadSessionOptions,
  PromptText,
  SaveToFolderOptions,
} from '../../engine/session-types.ts';
import type {
  Chat,
  ChatMessage,
  ChatSendOptions,
  GenerateOptions,
  Generation,
  GenerateResult,
  LoadOptions,
  Model,
  ModelInfo,
  TextChunk,
} from '../../engine/types.ts';

/** What the fake was asked for, in order. */
export interface FakeModelLog {
  readonly loads: LoadOptions[];
  readonly generations: GenerateOptions[];
  readonly messages: string[];
  readonly sends: ChatSendOptions[];
  /** Of chats: the path, and the messages that it got. */
  readonly saves: { readonly path: string; readonly messages: readonly ChatMessage[] }[];
  readonly opens: { readonly path: string; readonly options: LoadSessionOptions | undefined }[];
  readonly folderSaves: { readonly folder: string; readonly options: SaveToFolderOptions }[];
  readonly folderLoads: { readonly folder: string; readonly options: LoadFromFolderOptions }[];
  numClears: number;
  numCloses: number;
}

export interface FakeModelOptions {
  /** The text of an answer; endless ones look at the signal. Default: `fine`. */
  readonly answer?: (prompt: string, signal: AbortSignal) => AsyncIterable<string> | Iterable<string>;
  readonly finishReason?: GenerateResult['finishReason'];
  readonly numRowsGiven?: number;
  /** Tokens of the context. */
  readonly ctx?: number;
  /** What `openChat` gives, or throws. */
  readonly restored?: LoadedSession | Error;
  /** What `loadFromFolder` gives, or throws. Default: nothing is there. */
  readonly inFolder?: LoadedFromFolder | Error;
  /** What saving throws, if it does. */
  readonly saveError?: Error;
}

const RESULT: GenerateResult = {
  text: 'fine',
  tokenIds: [7, 8],
  promptTokens: 3,
  cachedTokens: 1,
  preemptions: 0,
  completionTokens: 2,
  finishReason: 'stop',
  seed: 5,
  kv: { format: 'q4', bitsPerElement: 5, bytes: 100_000, bytesF16: 320_000, tokens: 4 },
  timings: { loadMs: 1, ttftMs: 2, prefillTps: undefined, decodeTps: 20 },
};

export const FAKE_INFO: ModelInfo = {
  name: 'Fake',
  path: 'fake.gguf',
  architecture: 'llama',
  numParameters: 2_000_000,
  vocabularySize: 4,
  contextLength: 64,
  ctx: 64,
  kvFormat: 'q4',
  backend: { name: 'wasm', threads: 1, isa: 'SIMD' },
  memory: { weightBytes: 1_000_000, pageBytes: 2_000_000, scratchBytes: 3_000_000 },
  plannedBytes: 90_000_000,
  loadMs: 1,
  hasChatTemplate: true,
};

/** A model that computes nothing: `load` for commands, and a log of what they asked for. */
export function fakeModel(options: FakeModelOptions = {}): {
  readonly load: (options: LoadOptions) => Promise<Model>;
  readonly log: FakeModelLog;
} {
  const log: FakeModelLog = {
    ...{ loads: [], generations: [], messages: [], sends: [], saves: [], opens: [], folderSaves: [], folderLoads: [] },
    ...{ numClears: 0, numCloses: 0 },
  };
  const close = (): Promise<void> => Promise.resolve(void (log.numCloses += 1));
  const model: Model = {
    info: { ...FAKE_INFO, ...(options.ctx !== undefined && { ctx: options.ctx }) },
    generate(request) {
      log.generations.push(request);
      for (const position of (request.logProbsAt ?? []).slice(0, options.numRowsGiven)) {
        request.onLogProbs?.(position, new Float32Array(FAKE_INFO.vocabularySize).fill(-position));
      }
      return fakeGeneration(textOf(request), options, request.signal, request.maxTokens === 0);
    },
    chat: ({ system } = {}) =>
      fakeChat(log, options, system === undefined ? [] : [{ role: 'system', content: system }]),
    openChat: async (path, openOptions) => {
      log.opens.push({ path, options: openOptions });
      const restored = given(options.restored);
      return { ...fakeChat(log, options, restored?.messages ?? []), ...(restored && { restored }) };
    },
    encode: (prompt) => Promise.resolve(Array.from(textOf(prompt), (character) => character.charCodeAt(0))),
    saveSession: () => Promise.reject(new Error('the fake saves chats only')),
    loadSession: () => Promise.reject(new Error('the fake opens chats only')),
    saveToFolder: async (folder, saveOptions) => {
      log.folderSaves.push({ folder, options: saveOptions });
      given(options.saveError);
      return { path: `${folder}/a.kvp`, removed: [], numPages: 4, numTokens: 260, numBytes: 2_000_000 };
    },
    loadFromFolder: async (folder, loadOptions) => {
      log.folderLoads.push({ folder, options: loadOptions });
      return given(options.inFolder);
    },
    declarePublicPrefix: () => Promise.resolve(),
    stats: () => Promise.reject(new Error('the fake has no engine')),
    tokenize: (text) => Promise.resolve(Array.from(text, (character) => character.charCodeAt(0))),
    detokenize: (tokenIds) => Promise.resolve(String.fromCharCode(...tokenIds)),
    close,
    [Symbol.asyncDispose]: close,
  };
  const load = (request: LoadOptions): Promise<Model> => {
    log.loads.push(request);
    return Promise.resolve(model);
  };
  return { load, log };
}

function fakeChat(log: FakeModelLog, options: FakeModelOptions, start: readonly ChatMessage[]): Chat {
  let messages = start;
  return {
    get messages() {
      return messages;
    },
    send(content, request = {}) {
      log.messages.push(content);
      log.sends.push(request);
      const generation = fakeGeneration(content, options, request.signal);
      generation.result.then(
        ({ text }) => (messages = [...messages, { role: 'user', content }, { role: 'assistant', content: text }]),
        () => undefined,
      );
      return generation;
    },
    clear: () => Promise.resolve(void ((messages = []), (log.numClears += 1))),
    rewind: () => undefined,
    fork: () => Promise.reject(new Error('the fake does not fork')),
    save: async (path) => {
      given(options.saveError);
      log.saves.push({ path, messages });
      return { numPages: 1, numTokens: 68, numBytes: 1000 };
    },
  };
}

/** The value, unless it is an error. */
function given<T>(value: T | Error): T {
  if (value instanceof Error) throw value;
  return value;
}

function textOf({ prompt, messages }: PromptText): string {
  return prompt ?? messages?.at(-1)?.content ?? '';
}

function fakeGeneration(
  prompt: string,
  { answer = () => ['fi', 'ne'], finishReason = 'stop' }: FakeModelOptions,
  signal: AbortSignal = new AbortController().signal,
  isEmpty = false,
): Generation {
  const { promise, resolve, reject } = Promise.withResolvers<GenerateResult>();
  async function* chunks(): AsyncGenerator<TextChunk> {
    let completionTokens = 0;
    try {
      for await (const text of isEmpty ? [] : answer(prompt, signal)) {
        completionTokens++;
        yield { text, tokenIds: [] };
      }
      const reason = signal.aborted ? 'aborted' : finishReason;
      resolve({ ...RESULT, promptTokens: prompt.length, completionTokens, finishReason: reason });
    } catch (error) {
      reject(error);
      throw error;
    }
  }
  // An empty answer comes also when nobody iterates.
  if (isEmpty) resolve({ ...RESULT, promptTokens: prompt.length, finishReason: 'length' });
  return { [Symbol.asyncIterator]: chunks, result: promise };
}
