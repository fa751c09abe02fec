import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { AuditStats, EngineStats, FormatPages, PageState } from '../index.ts';

const PAGE_STATES: readonly PageState[] = ['open', 'sealed', 'shared', 'kept'];

/** Nats. Calibrated, q8 loses about 1e-5, q4 1e-3 and q2 2e-2; roundings of int8 activations alone are 2e-3 (docs/accuracy.md). */
const KLD_BUCKETS = [1e-6, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1, 3];

const F16_BITS = 16;

/** Sums that only grow, and where an engine's statistics have them. */
const COUNTS: readonly (readonly [name: string, help: string, read: (stats: EngineStats) => number])[] = [
  ['vllm:prompt_tokens_total', 'Prompt tokens of requests that have started.', ({ counts }) => counts.queriedTokens],
  ['vllm:generation_tokens_total', 'Tokens that were generated.', ({ counts }) => counts.generatedTokens],
  ['vllm:prefix_cache_queries_total', 'Prompt tokens that were looked up.', ({ counts }) => counts.queriedTokens],
  ['vllm:prefix_cache_hits_total', 'Prompt tokens that were found in the cache.', ({ counts }) => counts.hitTokens],
  ['vllm:num_preemptions_total', 'How often a request gave its pages to others.', ({ counts }) => counts.preemptions],
  ['vllm:spec_decode_num_drafts_total', 'How often tokens were guessed.', ({ counts }) => counts.drafts],
  ['vllm:spec_decode_num_draft_tokens_total', 'Tokens that were guessed.', ({ counts }) => counts.draftedTokens],
  ['vllm:spec_decode_num_accepted_tokens_total', 'Guesses in answers.', ({ counts }) => counts.acceptedTokens],
  ['kvant:steps_total', 'Steps of the engine.', ({ steps }) => steps],
  ['kvant:audits_total', 'Requests that were run again with an f16 cache.', ({ audit }) => audit?.count ?? 0],
  ['kvant:audits_skipped_total', 'Requests whose audit was skipped.', ({ audit }) => audit?.skipped ?? 0],
];

/** What is so at this moment. */
const GAUGES: readonly (readonly [name: string, help: string, read: (stats: EngineStats) => number])[] = [
  ['vllm:num_requests_running', 'Requests that the engine runs.', ({ requests }) => requests.running],
  ['vllm:num_requests_waiting', 'Requests that wait for their turn.', ({ requests }) => requests.waiting],
  ['vllm:kv_cache_usage_perc', 'Share of the KV cache in use; 1 is all of it.', usage],
  ['kvant:kv_bits_per_element', 'Bits an element of all pages, open ones included.', bitsPerElement],
  ['kvant:kv_bytes_used', 'Bytes of pages, those included that are only kept.', ({ memory }) => memory.usedBytes],
  ['kvant:kv_bytes_total', 'Bytes of the KV cache.', ({ memory }) => memory.totalBytes],
  ['kvant:kv_bytes_saved', 'What all pages would take more in f16.', bytesSaved],
];

/** Metrics of the engine: copies of its statistics at the moment of a scrape. */
export class EngineMetrics {
  readonly #counters: readonly { readonly counter: Counter; readonly read: (stats: EngineStats) => number }[];
  readonly #gauges: readonly { readonly gauge: Gauge; readonly read: (stats: EngineStats) => number }[];
  readonly #pages: Gauge<'state' | 'format'>;
  readonly #klds: Histogram;
  #numKldsSeen = 0;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#counters = COUNTS.map(([name, help, read]) => ({ counter: new Counter({ name, help, registers }), read }));
    this.#gauges = GAUGES.map(([name, help, read]) => ({ gauge: new Gauge({ name, help, registers }), read }));
    this.#pages = new Gauge({
      name: 'kvant:kv_pages',
      help: 'Pages by state and format.',
      labelNames: ['state', 'format'],
      registers,
    });
    this.#klds = new Histogram({
      name: 'kvant:audit_kld',
      help: 'KL divergence of audited answers to an f16 cache, in nats: means over positions.',
      buckets: KLD_BUCKETS,
      registers,
    });
  }

  /** @param stats of all tenants; later ones than the last time */
  update(stats: EngineStats): void {
    for (const { counter, read } of this.#counters) {
      counter.reset();
      counter.inc(read(stats));
    }
    for (const { gauge, read } of this.#gauges) gauge.set(read(stats));
    this.#pages.reset();
    for (const pages of stats.pages.byFormat) {
      for (const state of PAGE_STATES) this.#pages.set({ state, format: pages.format }, pages[state]);
    }
    if (stats.audit) this.#observe(stats.audit);
  }

  /** Those that came since the last time; where they are more than an engine remembers, the newest of them. */
  #observe({ count, recentKlds }: AuditStats): void {
    const numNew = Math.min(count - this.#numKldsSeen, recentKlds.length);
    this.#numKldsSeen = count;
    for (const kld of recentKlds.slice(recentKlds.length - numNew)) this.#klds.observe(kld);
  }
}

function usage({ memory }: EngineStats): number {
  return (memory.usedBytes - memory.keptBytes) / memory.totalBytes;
}

function bitsPerElement({ kv, pages }: EngineStats): number {
  const bytesF16 = sum(pages.byFormat, 'bytesF16');
  return bytesF16 === 0 ? kv.bitsPerElement : (F16_BITS * sum(pages.byFormat, 'bytes')) / bytesF16;
}

function bytesSaved({ pages }: EngineStats): number {
  return sum(pages.byFormat, 'bytesF16') - sum(pages.byFormat, 'bytes');
}

function sum(pages: readonly FormatPages[], name: 'bytes' | 'bytesF16'): number {
  return pages.reduce((total, each) => total + each[name], 0);
}
