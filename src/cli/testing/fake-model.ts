import type {
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
  numClears: number;
  numCloses: number;
}

export interface FakeModelOptions {
  /** The text of an answer; endless ones look at the signal. Default: `fine`. */
  readonly answer?: (prompt: string, signal: AbortSignal) => AsyncIterable<string> | Iterable<string>;
  readonly finishReason?: GenerateResult['finishReason'];
  readonly numRowsGiven?: number;
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
  const log: FakeModelLog = { loads: [], generations: [], messages: [], sends: [], numClears: 0, numCloses: 0 };
  const close = (): Promise<void> => Promise.resolve(void (log.numCloses += 1));
  const model: Model = {
    info: FAKE_INFO,
    generate(request) {
      log.generations.push(request);
      for (const position of (request.logProbsAt ?? []).slice(0, options.numRowsGiven)) {
        request.onLogProbs?.(position, new Float32Array(FAKE_INFO.vocabularySize).fill(-position));
      }
      const text = request.prompt ?? request.messages?.at(-1)?.content ?? '';
      return fakeGeneration(text, options, request.signal, request.maxTokens === 0);
    },
    chat: () => ({
      messages: [],
      send(content, request = {}) {
        log.messages.push(content);
        log.sends.push(request);
        return fakeGeneration(content, options, request.signal);
      },
      clear: () => Promise.resolve(void (log.numClears += 1)),
      rewind: () => undefined,
      fork: () => Promise.reject(new Error('the fake does not fork')),
      save: () => Promise.reject(new Error('the fake does not save')),
    }),
    encode: () => Promise.reject(new Error('the fake does not encode')),
    saveSession: () => Promise.reject(new Error('the fake does not save')),
    loadSession: () => Promise.reject(new Error('the fake has no files')),
    openChat: () => Promise.reject(new Error('the fake has no files')),
    saveToFolder: () => Promise.reject(new Error('the fake does not save')),
    loadFromFolder: () => Promise.reject(new Error('the fake has no files')),
    declarePublicPrefix: () => Promise.resolve(),
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

function fakeGeneration(
  prompt: string,
  { answer = () => ['fi', 'ne'], finishReason = 'stop' }: FakeModelOptions,
  signal: AbortSignal = new AbortController().signal,
  isEmpty = false,
): Generation {
  const { promise, resolve, reject } = Promise.withResolvers<GenerateResult>();
  async function* chunks(): AsyncGenerator<TextChunk> {
    try {
      for await (const text of isEmpty ? [] : answer(prompt, signal)) yield { text, tokenIds: [] };
      resolve({ ...RESULT, promptTokens: prompt.length, finishReason: signal.aborted ? 'aborted' : finishReason });
    } catch (error) {
      reject(error);
      throw error;
    }
  }
  // An empty answer comes also when nobody iterates.
  if (isEmpty) resolve({ ...RESULT, promptTokens: prompt.length, finishReason: 'length' });
  return { [Symbol.asyncIterator]: chunks, result: promise };
}
