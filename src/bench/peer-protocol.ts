/**
 * What crosses between `kvant bench` and the process of another engine, as messages of Node's IPC channel. One request at a time, each
 * answered by one reply. The process ends when the channel closes, and computes nothing between a reply and the next request.
 */

/** With what a peer runs. One process has one setting. */
export interface PeerSetting {
  /** Type of K and V in the cache, as the peer calls it. */
  readonly kv: string;
  readonly threads: number;
}

export interface PeerOpenRequest {
  readonly type: 'open';
  readonly setting: PeerSetting;
  readonly modelPath: string;
  /** Most tokens of a prompt and what is generated after it. */
  readonly contextTokens: number;
}

export interface PeerMeasureRequest {
  readonly type: 'measure';
  readonly tokens: readonly number[];
  /** How many to generate, whether or not they would end a text. */
  readonly numNewTokens: number;
}

export type PeerRequest = PeerOpenRequest | PeerMeasureRequest;

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
  | { readonly type: 'failed'; readonly message: string };
