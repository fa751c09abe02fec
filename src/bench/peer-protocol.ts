import type { UsersRun, UsersTask } from './users-task.ts';

/**
 * What crosses between `kvant bench` and the process of another engine, as messages of Node's IPC channel. One request at a time, each
 * answered by one reply. The process ends when the channel closes, and computes nothing between a reply and the next request.
 */

/** With what a peer runs. One process has one setting. */
export interface PeerSetting {
  /** Type of K and V in the cache, as the peer calls it. */
  readonly kv: string;
  readonly threads: number;
  /** Whether it computes on a GPU, all layers of it; absent: on the CPU. */
  readonly gpu?: true;
  /** Most tokens that it computes at a time; absent: its default. */
  readonly batchTokens?: number;
  /** Absent: on. */
  readonly flashAttention?: boolean;
}

/** What of a row is its setting. */
export function settingOf({ kv, threads, gpu, batchTokens, flashAttention }: PeerSetting): PeerSetting {
  return {
    kv,
    threads,
    ...(gpu && { gpu }),
    ...(batchTokens !== undefined && { batchTokens }),
    ...(flashAttention !== undefined && { flashAttention }),
  };
}

/** As in `F16, 2 threads`, with what is not as the peer has it by default. */
export function describePeerSetting({ kv, threads, gpu, batchTokens, flashAttention }: PeerSetting): string {
  const parts = [kv, `${threads} thread${threads === 1 ? '' : 's'}`];
  if (gpu) parts.push('GPU');
  if (batchTokens !== undefined) parts.push(`batch ${batchTokens}`);
  if (flashAttention === false) parts.push('no flash');
  return parts.join(', ');
}

export interface PeerOpenRequest {
  readonly type: 'open';
  readonly setting: PeerSetting;
  readonly modelPath: string;
  /** Most tokens of a prompt and what is generated after it. */
  readonly contextTokens: number;
  /** Prompts that it can work on at once, each with a context of its own. */
  readonly maxUsers: number;
}

export interface PeerMeasureRequest {
  readonly type: 'measure';
  readonly tokens: readonly number[];
  /** How many to generate, whether or not they would end a text. */
  readonly numNewTokens: number;
}

/** All prompts at once, each generating `numNewTokens`. How the peer shares the prefix is up to it, as long as it computes it anew. */
export interface PeerUsersRequest extends UsersTask {
  readonly type: 'measureUsers';
}

export type PeerRequest = PeerOpenRequest | PeerMeasureRequest | PeerUsersRequest;

export type PeerReply =
  | { readonly type: 'opened' }
  | {
      readonly type: 'measured';
      /** From the request to the first token. */
      readonly prefillMs: number;
      /** From the first token to the last. */
      readonly decodeMs: number;
      readonly numNewTokens: number;
    }
  | ({ readonly type: 'usersMeasured' } & UsersRun)
  | { readonly type: 'failed'; readonly message: string };
