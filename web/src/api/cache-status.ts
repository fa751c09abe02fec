/** What `GET /v1/cache` tells: the pages of whoever asks, and the memory of all. */
export interface CacheStatus {
  readonly model: {
    readonly name: string;
    readonly kv: string;
    readonly ctx: number;
    readonly bits_per_element: number;
    readonly f16_bytes_per_token: number;
  };
  readonly requests: { readonly running: number; readonly waiting: number };
  readonly pages: {
    readonly tokens_per_page: number;
    readonly by_state: Readonly<Record<PageState, number>>;
    readonly by_format: readonly FormatPages[];
    readonly strip: readonly StripPage[];
  };
  readonly memory: {
    readonly used_bytes: number;
    readonly total_bytes: number;
    readonly free_bytes: number;
    readonly f16_bytes: number;
    readonly saved_bytes: number;
  };
  readonly prefix_cache: { readonly queried_tokens: number; readonly hit_tokens: number; readonly hit_rate: number };
  readonly preemptions: number;
  readonly speculation: { readonly drafted: number; readonly accepted: number };
  readonly audit: {
    readonly every: number;
    readonly count: number;
    readonly mean_kld: number | null;
    readonly last_kld: number | null;
  } | null;
}

export type PageState = 'open' | 'sealed' | 'shared' | 'kept';

/** From the newest page to the one that waits for its next use. */
export const PAGE_STATES: readonly PageState[] = ['open', 'sealed', 'shared', 'kept'];

export interface StripPage {
  readonly id: number;
  readonly state: PageState;
  readonly format: string;
  /** An element, metadata counted. */
  readonly bits: number;
  /** Sequences that read it now. */
  readonly users: number;
}

export interface FormatPages extends Readonly<Record<PageState, number>> {
  readonly format: string;
  readonly bits: number;
  readonly bytes: number;
  readonly f16_bytes: number;
}
