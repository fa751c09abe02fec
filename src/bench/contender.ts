import type { KvReport } from '../engine/types.ts';

/** What every engine is given: the same tokens, and how many to generate after them. */
export interface SpeedTask {
  readonly tokens: readonly number[];
  readonly numNewTokens: number;
}

/** How fast one run was. */
export interface Speed {
  /** Prompt tokens by the time from the request to the first token. */
  readonly prefillTps: number;
  /** Tokens after the first one by the time that they took; undefined where there was none. */
  readonly decodeTps: number | undefined;
  readonly numNewTokens: number;
  /** What the cache held at the end, where the engine tells. */
  readonly kv?: KvReport;
}

/**
 * An engine with a model loaded and a format of the KV cache chosen. It computes nothing while it is not measured. What it is given and
 * what comes of it depends on what is measured.
 */
export interface Contender<Task = SpeedTask, Result = Speed> {
  /** For instance `kvant q4`. */
  readonly label: string;
  /** Starts from an empty cache. @throws the signal's reason if it aborts, KvantError ENGINE_FAILED */
  measure(task: Task, signal: AbortSignal): Promise<Result>;
  close(): Promise<void>;
}
