import { KvantError, type ErrorCode } from '../errors.ts';
import type { DownloadProgress } from '../model/download.ts';
import type { QueuePolicy } from './queue-order.ts';
import type {
  LoadedFromFolder,
  LoadedSession,
  LoadFromFolderOptions,
  LoadSessionOptions,
  PromptText,
  SavedSession,
  SavedToFolder,
  SaveSessionOptions,
} from './session-types.ts';
import type { EngineStats, StatsOptions } from './stats-types.ts';
import type {
  BackendName,
  GenerateOptions,
  GenerateResult,
  KvCheckMode,
  LoadProgress,
  ModelInfo,
  PromptUsage,
  TextChunk,
} from './types.ts';

/** What the engine's worker and its host say to each other. All of it is plain data, so that it can cross threads. */

/** `LoadOptions` with every default filled in. */
export interface EngineLoadOptions {
  /** A path; in a browser a URL, or a name for `modelData`. */
  readonly modelPath: string;
  /** The model's bytes, where they have no place to be read from. */
  readonly modelData?: Blob | undefined;
  /** When `load` was called, in milliseconds since 1970: the clock that threads share. */
  readonly requestedAtMs: number;
  /** A format, or `auto`. */
  readonly kv: string;
  /** A path or `none`; undefined: what lies beside the model, see load-calibration.ts. */
  readonly calibration?: string | undefined;
  /** Undefined: as the model says, see `chooseCtx`. */
  readonly ctx: number | undefined;
  readonly threads: number;
  readonly backend: Exclude<BackendName, 'auto'>;
  readonly maxSequences: number;
  /** Most bytes that the process may take. */
  readonly memory?: number | undefined;
  readonly checkKv?: KvCheckMode | undefined;
  /** Of the model that drafts, if there is one. */
  readonly draftModelPath?: string | undefined;
  readonly draftModelData?: Blob | undefined;
  /** Bytes of all pages. */
  readonly kvMemory?: number | undefined;
  /** Where pages go that are evicted. */
  readonly swap?: SwapPlace | undefined;
  readonly policy?: QueuePolicy | undefined;
  readonly maxPrefillRows?: number | undefined;
  /** Most bytes of one tenant's pages. */
  readonly tenantQuota?: number | undefined;
  /** Of how many requests one is audited; undefined: none is. */
  readonly auditEvery?: number | undefined;
}

/** A second tier of pages: in memory outside of the arena, or in a folder of the disk. */
export interface SwapPlace {
  readonly kind: 'memory' | 'disk';
  /** For `disk`; a folder of the system for temporary files where absent. */
  readonly folder?: string | undefined;
  readonly maxBytes: number;
}

/** `GenerateOptions` without its callbacks, and with a seed. */
export type EngineGenerateOptions = Omit<
  GenerateOptions,
  'onLogProbs' | 'onStart' | 'onPrefillProgress' | 'signal' | 'seed'
> & {
  readonly seed: number;
  /** The chat that goes on, if it is one. */
  readonly conversation?: number;
};

/** What a host can ask for: parameters and results by name. */
export interface EngineCalls {
  load: { readonly params: EngineLoadOptions; readonly result: ModelInfo };
  generate: { readonly params: EngineGenerateOptions; readonly result: GenerateResult };
  tokenize: { readonly params: { readonly text: string; readonly parseSpecial: boolean }; readonly result: number[] };
  detokenize: { readonly params: { readonly tokenIds: readonly number[] }; readonly result: string };
  forkConversation: { readonly params: { readonly from: number; readonly to: number }; readonly result: undefined };
  declarePublicPrefix: { readonly params: PromptText; readonly result: undefined };
  stats: { readonly params: StatsOptions; readonly result: EngineStats };
  encode: { readonly params: PromptText; readonly result: readonly number[] };
  saveSession: { readonly params: SaveSessionOptions & { readonly path: string }; readonly result: SavedSession };
  loadSession: { readonly params: LoadSessionOptions & { readonly path: string }; readonly result: LoadedSession };
  saveToFolder: {
    readonly params: SaveSessionOptions & { readonly folder: string; readonly limit?: number | undefined };
    readonly result: SavedToFolder;
  };
  loadFromFolder: {
    readonly params: LoadFromFolderOptions & { readonly folder: string };
    readonly result: LoadedFromFolder | undefined;
  };
  releaseConversation: { readonly params: { readonly conversation: number }; readonly result: undefined };
}

export type CallName = keyof EngineCalls;

/** A call under way; `id` tells it from all others. */
export type CallMessage = {
  [Name in CallName]: {
    readonly kind: 'call';
    readonly id: number;
    readonly name: Name;
    readonly params: EngineCalls[Name]['params'];
  };
}[CallName];

export type ToEngine = CallMessage | { readonly kind: 'abort'; readonly id: number };

/** What happens before a call has its result. */
export type CallEvent =
  | { readonly type: 'loadProgress'; readonly progress: LoadProgress }
  | { readonly type: 'downloadProgress'; readonly progress: DownloadProgress }
  | { readonly type: 'chunk'; readonly chunk: TextChunk }
  | { readonly type: 'logProbs'; readonly position: number; readonly logProbs: Float32Array }
  | ({ readonly type: 'start' } & PromptUsage)
  | { readonly type: 'prefillProgress'; readonly computedTokens: number; readonly totalTokens: number };

/** A call ends with exactly one `result` or `error`. */
export type FromEngine =
  | { readonly kind: 'event'; readonly id: number; readonly event: CallEvent }
  | { readonly kind: 'result'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'error'; readonly id: number; readonly error: PlainError };

/** An error that can cross threads, which class instances cannot. */
export interface PlainError {
  readonly code: ErrorCode;
  readonly message: string;
}

/** An error that Kvant did not throw on purpose is a failure of the engine. */
export function toPlainError(error: unknown): PlainError {
  if (error instanceof KvantError) return { code: error.code, message: error.message };
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: 'ENGINE_FAILED', message: `the engine failed, which is a bug in Kvant: ${message}` };
}

export function fromPlainError({ code, message }: PlainError): KvantError {
  return new KvantError(code, message);
}
