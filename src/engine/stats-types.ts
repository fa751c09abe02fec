/** What an engine tells of itself: plain data, counted between two steps. All of it is the tenant's own where one was asked for, but for `kv`, `memory` and `steps`. */

export interface StatsOptions {
  /** Whose requests and pages. Default: everybody's. */
  readonly tenant?: string;
}

/**
 * `open`: takes the newest tokens of a sequence or conversation, in f16. `sealed`: one of them owns it. `shared`: two or more do. `kept`: only
 * the prefix tree has it, for whoever begins in the same way.
 */
export type PageState = 'open' | 'sealed' | 'shared' | 'kept';

export type PageCounts = Readonly<Record<PageState, number>>;

/** Pages of one format. */
export interface FormatPages extends PageCounts {
  readonly format: string;
  /** Of a sealed page, metadata counted. */
  readonly bitsPerElement: number;
  /** What the pages take, with those of the sink tokens that belong to them. */
  readonly bytes: number;
  /** What the same pages take in f16. */
  readonly bytesF16: number;
}

/** One page, as a picture of the cache shows it. */
export interface StripPage {
  /** Never another page's, as long as the engine lives. */
  readonly id: number;
  readonly state: PageState;
  /** Of its sequence; an open page is in f16 whatever it is. */
  readonly format: string;
  /** As its tokens are stored now: 16 while it is open. */
  readonly bitsPerElement: number;
  /** Sequences and conversations that own it. */
  readonly users: number;
}

export interface PageStats {
  readonly tokensPerPage: number;
  readonly byState: PageCounts;
  /** Formats that have pages, in the order in which the engine met them. */
  readonly byFormat: readonly FormatPages[];
  /** In the order in which they were allocated; the newest `MAX_STRIP_PAGES` where there are more. */
  readonly strip: readonly StripPage[];
}

/** Most pages in `PageStats.strip`. */
export const MAX_STRIP_PAGES = 4096;

/** The KV cache of all tenants, in bytes. */
export interface PageMemoryStats {
  readonly usedBytes: number;
  /** Of them those that go where room is needed, as only the prefix tree has them. */
  readonly keptBytes: number;
  readonly freeBytes: number;
  readonly totalBytes: number;
}

/** What has been counted since the model was loaded. */
export interface EngineCounts {
  /** Prompt tokens of requests that have started, and those of them that were found in the cache. */
  readonly queriedTokens: number;
  readonly hitTokens: number;
  /** Tokens that were generated, those of requests that still run included. */
  readonly generatedTokens: number;
  /** How often a request had to give its pages to others. */
  readonly preemptions: number;
  /** How often tokens were guessed; how many of them were computed along, and how many are in answers. */
  readonly drafts: number;
  readonly draftedTokens: number;
  readonly acceptedTokens: number;
  /** Requests that have ended, failures included. */
  readonly endedRequests: number;
}

/** What the audit has found: KL divergence of answers to what an f16 cache makes of the same tokens, in nats. */
export interface AuditStats {
  /** One request in so many is audited. */
  readonly every: number;
  /** Requests that were audited. */
  readonly count: number;
  /** Mean over positions, then over requests; undefined before the first one. */
  readonly meanKld: number | undefined;
  /** Of the last one. */
  readonly lastKld: number | undefined;
  /** Requests whose turn it was and that were not audited: too long, nothing sealed, or no idle moment. */
  readonly skipped: number;
  /** The newest ones, the last one last; at most `MAX_RECENT_AUDITS`. */
  readonly recentKlds: readonly number[];
}

/** Most audits in `AuditStats.recentKlds`. */
export const MAX_RECENT_AUDITS = 256;

export interface EngineStats {
  /** The format that the engine was loaded with. */
  readonly kv: {
    readonly format: string;
    /** Of its sealed pages. */
    readonly bitsPerElement: number;
    /** What a token takes in f16. */
    readonly bytesF16PerToken: number;
  };
  readonly requests: { readonly running: number; readonly waiting: number };
  readonly pages: PageStats;
  readonly memory: PageMemoryStats;
  readonly counts: EngineCounts;
  /** Steps of the engine since it was loaded. */
  readonly steps: number;
  /** Absent where the model was loaded without `auditEvery`. */
  readonly audit?: AuditStats;
}
