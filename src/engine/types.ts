import type { BackendDescription, MemoryUsage } from '../kernels/kernels.ts';
import type { TileBits } from '../quant/kv-format.ts';
import type { ResponseFormat, TokenLogProb } from './output-types.ts';
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

/**
 * The library's public types: what `load` takes and gives, and what a generation reports. Plain data; it crosses
 * threads.
 */

/**
 * `wasm` takes the fastest build of the kernels that the engine runs; `wasm-128` the fastest with vectors of 128 bits, as in browsers; `wasm-simd`
 * the one without relaxed SIMD; `reference` is float64, exact and slow. `auto` is `webgpu` where there is a GPU, otherwise `wasm`.
 */
export type BackendName = 'auto' | 'wasm' | 'wasm-128' | 'wasm-simd' | 'webgpu' | 'webgpu-software' | 'reference';

export interface LoadOptions {
  /** Path of a GGUF file; the embedded SmolLM2-135M-Instruct where absent. */
  readonly model?: string;
  /**
   * KV cache format: `f16`, `q8`, `q6`, `q5`, `q4`, `q3`, `q2`, `q1`, `kAvB` such as `k6v4`, or with a calibration `mixN`: at most N bits an element. `auto` takes the finest of q8, q6, q5, q4, q3 and q2 that fits. Default `q4`.
   */
  readonly kv?: string;
  /**
   * Path of a calibration file, which `kvant calibrate` makes, or `none`. Default: the file beside the model with its name and
   * `.kvant.json` instead of `.gguf`, where there is one.
   */
  readonly calibration?: string;
  /** Tokens of context. Default: the model's own, at most 8,192. */
  readonly ctx?: number;
  /** Kernel threads. Default: the cores that are available, at most 16. */
  readonly threads?: number;
  readonly backend?: BackendName;
  /** Most sequences that are generated at the same time; others wait for their turn. Default 1. */
  readonly maxSequences?: number;
  /**
   * Size of the KV cache: bytes, or a text such as `64MB`. Running sequences share it with what is kept of earlier ones. Default: room for a
   * whole context of every sequence in the format `kv`.
   */
  readonly kvMemory?: number | string;
  /**
   * Where sealed pages go that the KV cache has no room for, so that they can be read instead of computed again: nowhere (`none`, the default), to
   * `memory` beside it, or to files on `disk`.
   */
  readonly swap?: 'none' | 'memory' | 'disk';
  /** Most bytes of swapped pages. Default `1GB`. */
  readonly swapSize?: number | string;
  /** Where the files of `swap: 'disk'` lie. Default: the system's folder for temporary files. */
  readonly swapFolder?: string;
  /** Whose request starts next: the one that came first (`fcfs`, the default), or the one of the highest `priority`. Among tenants, the one that got least. */
  readonly schedule?: 'fcfs' | 'priority';
  /** Most prompt tokens of a step in which somebody else gets an answer: few keep that answer flowing. Default 128. */
  readonly maxPrefillTokens?: number;
  /** Most of the KV cache that one tenant may hold: bytes, or a text such as `16MB`. Default: no limit. */
  readonly tenantQuota?: number | string;
  /**
   * Most memory that a process may take which does nothing else, Node.js itself included: bytes, or a text such as `2GB` or `1.5GiB`.
   * What does not fit is refused before it is loaded. Default: what the machine has.
   */
  readonly memory?: number | string;
  /**
   * Runs a short text before the first request and measures what the format loses in each layer: `warn` tells it in `ModelInfo.kvCheck`;
   * `raise` also gives more bits to layers that lose too much, and loads the model again with them. Not done where absent.
   */
  readonly checkKv?: KvCheckMode;
  /**
   * Runs one request in so many again, with an f16 cache, while there is nothing else to do, and tells in `EngineStats.audit` how far its answer's
   * distributions were from that. Takes page memory of its own. Not done where absent.
   */
  readonly auditEvery?: number;
  /**
   * Path of a GGUF file of a smaller model with the same vocabulary, which guesses what comes next: see `GenerateOptions.speculate`. It
   * takes memory of its own.
   */
  readonly draftModel?: string;
  /** Called while the weights are read. */
  readonly onProgress?: (progress: LoadProgress) => void;
  readonly signal?: AbortSignal;
}

/** As those of `load`; `kv` lists the formats to compare, all where absent. `memory` may be another machine's. */
export interface PlanOptions extends Pick<
  LoadOptions,
  'model' | 'calibration' | 'ctx' | 'threads' | 'backend' | 'maxSequences' | 'memory' | 'kvMemory' | 'draftModel'
> {
  readonly kv?: readonly string[];
}

export interface LoadProgress {
  readonly loadedBytes: number;
  readonly totalBytes: number;
}

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

export interface SamplingOptions {
  /** 0 takes the likeliest token (greedy). Default 0. */
  readonly temperature?: number;
  /** Keeps the k likeliest tokens; 0 keeps all. Default 0. */
  readonly topK?: number;
  /** Keeps the likeliest tokens that make up this share of the probability. Default 1. */
  readonly topP?: number;
  /** Drops tokens less likely than this share of the likeliest one's probability. Default 0. */
  readonly minP?: number;
  /** Divides the logits of tokens already seen, as CTRL (arXiv 1909.05858) does. 1 is off. Default 1. */
  readonly repetitionPenalty?: number;
  /** Added to the logits of tokens, by token id: -100 to 100. Bans a token at the lower end, forces it at the upper one, whatever the model. */
  readonly logitBias?: Readonly<Record<string, number>>;
  /** Subtracted from a token's logit for each time that the answer has it, as in OpenAI's API: -2 to 2. Default 0. */
  readonly frequencyPenalty?: number;
  /** Subtracted once from the logits of tokens that the answer has, as in OpenAI's API: -2 to 2. Default 0. */
  readonly presencePenalty?: number;
  /** Same seed, same answer. Default: a random one, which the result reports. */
  readonly seed?: number;
}

export interface GenerateOptions extends SamplingOptions {
  /** Exactly one of `prompt` (raw text), `messages` (through the chat template) and `tokens` (ids as they are). */
  readonly prompt?: string;
  readonly messages?: readonly ChatMessage[];
  readonly tokens?: readonly number[];
  /** Default: until the model ends or the context is full. 0 generates nothing. */
  readonly maxTokens?: number;
  /**
   * Computes guesses of the next tokens along with the last one, and keeps those that are what the model says: never a different answer,
   * often a faster one. `lookup` guesses that text goes on as it did where its last words stood before, `draft` asks the draft model; both
   * guess less, down to nothing, where it does not pay. Default: `draft` where there is a draft model, else `lookup`.
   */
  readonly speculate?: SpeculationMode;
  /** Strings that end the answer; they are not part of it. */
  readonly stop?: readonly string[];
  /** The form of the answer. Default: text. */
  readonly responseFormat?: ResponseFormat;
  /** Reports the log-probability of every token of the answer, and as many of the likeliest of its place: 0 to 20. Not done where absent. */
  readonly topLogProbs?: number;
  /** KV cache format of this request. Default: the one that the model was loaded with. */
  readonly kv?: string;
  /** Whose request it is: requests of one tenant share the cache of equal beginnings, and tenants are served fairly. Default `default`. */
  readonly tenant?: string;
  /** Higher goes first where the model was loaded with `schedule: 'priority'`. Default 0. */
  readonly priority?: number;
  /** False: computes the whole prompt and keeps nothing of it for others, as measurements need it. Default true. */
  readonly reusePrefix?: boolean;
  /** Goes on where the model ends its turn, so that measurements get as many tokens as they ask for. Default false. */
  readonly ignoreEnd?: boolean;
  /**
   * Prompt positions whose log-probabilities over the whole vocabulary are wanted, ascending; given by `onLogProbs` in
   * order.
   */
  readonly logProbsAt?: readonly number[];
  readonly onLogProbs?: (position: number, logProbs: Float32Array) => void;
  /** Called when the request leaves the queue, with what need not be computed of its prompt. */
  readonly onStart?: (usage: PromptUsage) => void;
  /** Called as the prompt is computed. */
  readonly onPrefillProgress?: (progress: { readonly computedTokens: number; readonly totalTokens: number }) => void;
  readonly signal?: AbortSignal;
}

/** How much of a prompt need not be computed. */
export interface PromptUsage {
  readonly promptTokens: number;
  /** Found in the cache. */
  readonly cachedTokens: number;
}

/**
 * Why an answer ended. `stop`: the model's end of turn, or a stop string. `length`: `maxTokens` reached. `context`: the
 * context is full.
 */
export type FinishReason = 'stop' | 'length' | 'context' | 'aborted';

export interface TextChunk {
  /** New text; whole UTF-8 characters. */
  readonly text: string;
  /** Tokens whose text this chunk completes. */
  readonly tokenIds: readonly number[];
  /** One for each of `tokenIds`, where `topLogProbs` asks for them. */
  readonly logProbs?: readonly TokenLogProb[];
}

export interface GenerateResult {
  readonly text: string;
  /** Everything that was generated, the token that ended the turn and those of a stop string included. */
  readonly tokenIds: readonly number[];
  /** One for each of `tokenIds`, where `topLogProbs` asks for them; that of the token that ended the turn is in no chunk. */
  readonly logProbs?: readonly TokenLogProb[];
  readonly promptTokens: number;
  /** Prompt tokens found in the cache, not computed again. */
  readonly cachedTokens: number;
  /** How often its pages were given to others for a while, and computed or read again. */
  readonly preemptions: number;
  readonly completionTokens: number;
  readonly finishReason: FinishReason;
  readonly seed: number;
  readonly kv: KvReport;
  /** Absent where nothing was to be guessed. */
  readonly speculation?: SpeculationReport;
  readonly timings: Timings;
}

export type SpeculationMode = 'off' | 'lookup' | 'draft';

/** What became of guesses. */
export interface SpeculationReport {
  readonly mode: SpeculationMode;
  /** Tokens that were guessed and computed along. */
  readonly drafted: number;
  /** Those of them that are in the answer. */
  readonly accepted: number;
  /** Steps that computed any. */
  readonly steps: number;
}

/** What the sequence's cache holds when the generation ends. */
export interface KvReport {
  readonly format: string;
  /**
   * Of everything that the sequence holds: sealed pages with metadata, the filled part of the open page and the sink
   * tokens. 0 where it holds nothing.
   */
  readonly bitsPerElement: number;
  readonly bytes: number;
  /** What the same tokens take in f16. */
  readonly bytesF16: number;
  /** Tokens that are stored; the newest one of an answer is not, as nothing came after it. */
  readonly tokens: number;
}

export interface Timings {
  /** From the call of `load` to a model that can generate. */
  readonly loadMs: number;
  /** From the request to the first token, or to the end of the prompt where none was generated. */
  readonly ttftMs: number;
  /** Prompt tokens computed per second; undefined where none was. */
  readonly prefillTps: number | undefined;
  /** Tokens per second after the first one; undefined for fewer than two. */
  readonly decodeTps: number | undefined;
}

export type KvCheckMode = 'warn' | 'raise';

/** What a KV format loses in each layer, measured on a short text. */
export interface KvCheck {
  readonly mode: KvCheckMode;
  /** Why nothing was measured; all lists are empty then. */
  readonly skipped?: string;
  /** Tokens that were run, and how many of them were the built-in text's; the rest was drawn from the vocabulary. */
  readonly numTokens: number;
  readonly numTextTokens: number;
  /** What a layer may lose. */
  readonly limits: { readonly attentionKld: number; readonly valueError: number };
  /** All layers, as the model runs now. */
  readonly layers: readonly KvLayerCheck[];
  /** What they add up to: mean KL divergence of the output to an f16 cache, in nats; rarely more than a factor of two off. */
  readonly estimatedKld: number;
  /** Layers that were given more bits: as they were in the format that was asked for. */
  readonly raised: readonly KvLayerCheck[];
  /** Where layers suffer: a format in which none would. */
  readonly suggestedKv?: string;
  /** Of sealed pages, metadata counted, in the format that was asked for and in the one that runs. */
  readonly bitsPerElementBefore: number;
  readonly bitsPerElement: number;
  /** What it added to loading. */
  readonly checkMs: number;
}

/** What a layer loses; means over query heads and queries that see sealed pages. */
export interface KvLayerCheck {
  /** From 0 on. */
  readonly layer: number;
  readonly kBits: TileBits;
  readonly vBits: TileBits;
  /** KL divergence of the attention weights with exact keys to those with sealed ones, in nats. */
  readonly attentionKld: number;
  /** Relative error of attention's output that comes from sealed values alone. */
  readonly valueError: number;
  /** The same of keys and values together. */
  readonly outputError: number;
  /** Largest deviation of a channel of K, in those of the median channel: what outlier channels make large. */
  readonly keyOutlier: number;
  /** Largest mean of a channel of K, in deviations of the median channel: what a key bias makes large. */
  readonly keyBias: number;
  /** Sides that lose more than they may. */
  readonly suffers: readonly ('k' | 'v')[];
}

export interface ModelInfo {
  /** `general.name` of the file, or its file name. */
  readonly name: string;
  readonly path: string;
  readonly architecture: string;
  readonly numParameters: number;
  readonly vocabularySize: number;
  readonly contextLength: number;
  /** Context that the engine was loaded with. */
  readonly ctx: number;
  readonly kvFormat: string;
  /** Where `kv` was `auto`: why this format. */
  readonly kvReason?: string;
  /** What the calibration was learnt from, where the cache uses one. */
  readonly calibration?: string;
  /** What `checkKv` has found. */
  readonly kvCheck?: KvCheck;
  /** Name of the model that drafts. */
  readonly draftModel?: string;
  readonly backend: BackendDescription;
  /** What the backend has allocated. */
  readonly memory: MemoryUsage;
  /** What a process is expected to have resident that does nothing else, with every sequence's context full; see `plan`. */
  readonly plannedBytes: number;
  readonly loadMs: number;
  readonly hasChatTemplate: boolean;
}

/**
 * A running generation: iterate it for text as it comes, await `result` for the whole, or both. Every iteration begins
 * with the first chunk; leaving one early (`break`) aborts the generation.
 */
export interface Generation extends AsyncIterable<TextChunk> {
  /**
   * Settles when the generation ends, also when nobody iterates. An abort resolves with `finishReason: 'aborted'`.
   *
   * @throws KvantError PROMPT_TOO_LONG, INVALID_OPTION, MODEL_UNSUPPORTED (no chat template), MODEL_INVALID,
   *   ENGINE_FAILED, ENGINE_CLOSED
   */
  readonly result: Promise<GenerateResult>;
}

/** A conversation whose cache stays between turns, so that a turn computes only what is new. */
export interface Chat {
  readonly messages: readonly ChatMessage[];
  /**
   * Adds a user message and answers it. Only one at a time. An aborted answer stays in the conversation as far as it
   * came; a message that could not be answered (the result rejects) does not.
   *
   * @throws KvantError INVALID_OPTION at once, also while another answer is under way
   */
  send(content: string, options?: ChatSendOptions): Generation;
  /** Takes back the last turns, a message and its answer each. @throws KvantError INVALID_OPTION if there are fewer, or one is under way */
  rewind(numTurns?: number): void;
  /** Another chat with the same messages so far, which goes on by itself. What both have in common is stored once. */
  fork(): Promise<Chat>;
  /**
   * Writes the conversation and its pages into a session file, crash-safe: an interrupted save leaves the old file or the new one. The last
   * message's `kv` and `tenant` say which pages.
   *
   * @throws KvantError INVALID_OPTION while an answer is under way; FILE_ERROR
   */
  save(path: string, options?: { readonly title?: string }): Promise<SavedSession>;
  /** Of a chat that `openChat` has opened: what came from the file, and what did not. */
  readonly restored?: LoadedSession;
  /** Aborts a running answer, forgets all messages but the system's, and lets the conversation's pages go. */
  clear(): Promise<void>;
}

export type ChatSendOptions = Omit<
  GenerateOptions,
  'prompt' | 'messages' | 'tokens' | 'ignoreEnd' | 'logProbsAt' | 'onLogProbs'
>;

export interface Model {
  readonly info: ModelInfo;
  /** @throws KvantError INVALID_OPTION at once for options that are wrong; everything else comes with the result */
  generate(options: GenerateOptions): Generation;
  /** Chats share `maxSequences` with generations. */
  chat(options?: { readonly system?: string }): Chat;
  /**
   * Lets all tenants share the cache of prompts that begin with these tokens, raw text or messages, such as an operator's system prompt. All else
   * is kept apart by tenant.
   *
   * @throws KvantError INVALID_OPTION
   */
  declarePublicPrefix(prefix: PromptText): Promise<void>;
  /**
   * Writes a text and what the cache has of it into a session file, crash-safe. Generations go on meanwhile.
   *
   * @throws KvantError INVALID_OPTION, also for a text without messages of which the cache has no page; FILE_ERROR
   */
  saveSession(path: string, options: SaveSessionOptions): Promise<SavedSession>;
  /**
   * Puts a file's pages into the cache, so that requests whose prompts begin with its tokens start at once. Pages that are damaged, or for which there
   * is no room, are left out: see `problem`.
   *
   * @throws KvantError SESSION_MISMATCH for a file of another model, format, calibration, backend or version, which names what differs;
   *   SESSION_INVALID, FILE_ERROR, INVALID_OPTION
   */
  loadSession(path: string, options?: LoadSessionOptions): Promise<LoadedSession>;
  /** The conversation of a session file, which goes on in the file's format. @throws KvantError as `loadSession`; SESSION_MISMATCH if it holds none */
  openChat(path: string, options?: LoadSessionOptions): Promise<Chat>;
  /** As `saveSession`, into a folder of files that are found by their tokens. @throws KvantError as `saveSession` */
  saveToFolder(folder: string, options: SaveToFolderOptions): Promise<SavedToFolder>;
  /** As `loadSession`, of the file in a folder that has most of a text; undefined if none has a page of it. @throws KvantError as `loadSession` */
  loadFromFolder(folder: string, options: LoadFromFolderOptions): Promise<LoadedFromFolder | undefined>;
  /** What the engine does and what its cache holds at this moment, of one tenant or of all. @throws KvantError INVALID_OPTION, ENGINE_FAILED, ENGINE_CLOSED */
  stats(options?: StatsOptions): Promise<EngineStats>;
  /** Token ids of a prompt, as `generate` would compute them. @throws KvantError INVALID_OPTION, MODEL_UNSUPPORTED, MODEL_INVALID */
  encode(prompt: PromptText): Promise<number[]>;
  /** Text to ids; special tokens in the text stay text unless asked for. */
  tokenize(text: string, options?: { readonly parseSpecial?: boolean }): Promise<number[]>;
  detokenize(tokenIds: readonly number[]): Promise<string>;
  /** Ends the engine's worker and its threads. Running generations reject with ENGINE_CLOSED. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
