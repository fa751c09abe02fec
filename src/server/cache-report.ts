import * as z from 'zod';
import type { AuditStats, EngineStats, FormatPages, ModelInfo, StripPage } from '../index.ts';

/**
 * What `GET /v1/cache` answers: the KV cache as its owner may see it. Pages, requests and counts are the caller's own; of everybody else's only used
 * memory shows.
 */

const count = z.int().min(0);
const bytes = z.int().min(0).describe('Bytes');
const pageState = z.enum(['open', 'sealed', 'shared', 'kept']);

const pageCounts = z.object({
  open: count.describe('Take the newest tokens of a sequence or conversation, in f16'),
  sealed: count.describe('Owned by one sequence or conversation'),
  shared: count.describe('Owned by two or more'),
  kept: count.describe('Used by nobody now, and kept for requests that begin in the same way'),
});

const formatPages = pageCounts.extend({
  format: z.string(),
  bits: z.number().describe('Bits an element of a sealed page, metadata counted'),
  bytes: bytes.describe('What the pages take'),
  f16_bytes: bytes.describe('What the same pages take in f16'),
});

const stripPage = z.object({
  id: count,
  state: pageState,
  format: z.string(),
  bits: z.number().describe('As its tokens are stored now: 16 while it is open'),
  users: count,
});

const audit = z.object({
  every: z.int().min(1).describe('One request in so many is audited'),
  count: count.describe('Requests that were audited'),
  skipped: count.describe('Requests whose turn it was and that were not'),
  mean_kld: z.number().nullable().describe('KL divergence to an f16 cache, in nats; null before the first one'),
  last_kld: z.number().nullable(),
});

/** Schema of the answer. */
export const cacheReportSchema = z.object({
  model: z.object({
    name: z.string(),
    kv: z.string().describe('The format of requests that name none'),
    ctx: z.int().min(1),
    bits_per_element: z.number(),
    f16_bytes_per_token: bytes,
  }),
  requests: z.object({ running: count, waiting: count }),
  pages: z.object({
    tokens_per_page: z.int().min(1),
    by_state: pageCounts,
    by_format: z.array(formatPages),
    strip: z.array(stripPage).describe('In the order in which they were allocated; the newest 4,096'),
  }),
  memory: z.object({
    used_bytes: bytes.describe('Of the KV cache, by everybody'),
    total_bytes: bytes,
    free_bytes: bytes,
    f16_bytes: bytes.describe('What the pages above take in f16'),
    saved_bytes: bytes.describe('That, less what they take'),
  }),
  prefix_cache: z.object({
    queried_tokens: count.describe('Prompt tokens of requests that have started'),
    hit_tokens: count.describe('Those of them that were found'),
    hit_rate: z.number().min(0).max(1),
  }),
  preemptions: count,
  speculation: z.object({ drafted: count, accepted: count }),
  audit: audit.nullable().describe('Null where no requests are audited'),
});

export type CacheReport = z.infer<typeof cacheReportSchema>;

/** @param stats of the caller's tenant */
export function cacheReport(stats: EngineStats, info: Pick<ModelInfo, 'name' | 'ctx'>): CacheReport {
  const { kv, requests, pages, memory, counts } = stats;
  const [ownBytes, f16Bytes] = [sum(pages.byFormat, 'bytes'), sum(pages.byFormat, 'bytesF16')];
  return {
    model: {
      name: info.name,
      kv: kv.format,
      ctx: info.ctx,
      bits_per_element: kv.bitsPerElement,
      f16_bytes_per_token: kv.bytesF16PerToken,
    },
    requests: { running: requests.running, waiting: requests.waiting },
    pages: {
      tokens_per_page: pages.tokensPerPage,
      by_state: { ...pages.byState },
      by_format: pages.byFormat.map(reportFormat),
      strip: pages.strip.map(reportPage),
    },
    memory: {
      used_bytes: memory.usedBytes,
      total_bytes: memory.totalBytes,
      free_bytes: memory.freeBytes,
      f16_bytes: f16Bytes,
      saved_bytes: f16Bytes - ownBytes,
    },
    prefix_cache: {
      queried_tokens: counts.queriedTokens,
      hit_tokens: counts.hitTokens,
      hit_rate: counts.queriedTokens === 0 ? 0 : counts.hitTokens / counts.queriedTokens,
    },
    preemptions: counts.preemptions,
    speculation: { drafted: counts.draftedTokens, accepted: counts.acceptedTokens },
    audit: stats.audit ? reportAudit(stats.audit) : null,
  };
}

function reportFormat(pages: FormatPages): CacheReport['pages']['by_format'][number] {
  const { format, bitsPerElement, open, sealed, shared, kept, bytesF16 } = pages;
  return { format, bits: bitsPerElement, open, sealed, shared, kept, bytes: pages.bytes, f16_bytes: bytesF16 };
}

function reportPage({ id, state, format, bitsPerElement, users }: StripPage): CacheReport['pages']['strip'][number] {
  return { id, state, format, bits: bitsPerElement, users };
}

function reportAudit({ every, count: audited, meanKld, lastKld, skipped }: AuditStats): CacheReport['audit'] {
  return { every, count: audited, skipped, mean_kld: meanKld ?? null, last_kld: lastKld ?? null };
}

function sum(pages: readonly FormatPages[], name: 'bytes' | 'bytesF16'): number {
  return pages.reduce((total, each) => total + each[name], 0);
}
