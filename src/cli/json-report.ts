import type { GenerateResult, ModelInfo } from '../engine/types.ts';
import { kvCheckReport, type KvCheckReport } from './kv-check-report.ts';
import { finiteOrNull } from './finite-or-null.ts';

/** What `--json` prints. Names are in snake case; what was not measured is null. */
export interface JsonReport {
  readonly model: string;
  readonly backend: { readonly name: string; readonly threads: number; readonly isa: string };
  readonly kv: {
    readonly format: string;
    /** Why this format, where it was left to `auto`. */
    readonly reason: string | null;
    /** Metadata counted. */
    readonly bits_per_element: number | null;
    readonly bytes: number;
    readonly bytes_f16: number;
    readonly tokens: number;
    /** What `--check-kv` has found. */
    readonly check: KvCheckReport | null;
  };
  readonly prompt_tokens: number;
  readonly cached_tokens: number;
  readonly completion_tokens: number;
  readonly token_ids: readonly number[];
  readonly text: string;
  readonly finish_reason: GenerateResult['finishReason'];
  readonly seed: number;
  /** What became of guesses of the next tokens; null where there were to be none. */
  readonly speculation: {
    readonly mode: string;
    readonly drafted: number;
    readonly accepted: number;
    readonly steps: number;
  } | null;
  readonly timings: {
    readonly load_ms: number;
    readonly ttft_ms: number | null;
    readonly prefill_tps: number | null;
    readonly decode_tps: number | null;
  };
  /** Weights, pages and scratch as the model states them, and the most that the whole process has had resident. */
  readonly memory: {
    readonly weight_bytes: number;
    readonly page_bytes: number;
    readonly scratch_bytes: number;
    /** What the whole process was expected to have resident with its context full. */
    readonly planned_bytes: number;
    readonly peak_rss_bytes: number;
  };
}

const BYTES_PER_KILOBYTE = 1024;

/** The report of one answer. Figures that are not finite (a ratio over nothing) become null, as JSON has no such numbers. */
export function jsonReport(result: GenerateResult, info: ModelInfo): JsonReport {
  const { kv, timings } = result;
  const { name, threads, isa } = info.backend;
  return {
    model: info.name,
    backend: { name, threads, isa },
    kv: {
      format: kv.format,
      reason: info.kvReason ?? null,
      bits_per_element: finiteOrNull(kv.bitsPerElement),
      bytes: kv.bytes,
      bytes_f16: kv.bytesF16,
      tokens: kv.tokens,
      check: info.kvCheck ? kvCheckReport(info.kvCheck) : null,
    },
    prompt_tokens: result.promptTokens,
    cached_tokens: result.cachedTokens,
    completion_tokens: result.completionTokens,
    token_ids: [...result.tokenIds],
    text: result.text,
    finish_reason: result.finishReason,
    seed: result.seed,
    speculation: result.speculation ?? null,
    timings: {
      load_ms: timings.loadMs,
      ttft_ms: finiteOrNull(timings.ttftMs),
      prefill_tps: finiteOrNull(timings.prefillTps),
      decode_tps: finiteOrNull(timings.decodeTps),
    },
    memory: {
      weight_bytes: info.memory.weightBytes,
      page_bytes: info.memory.pageBytes,
      scratch_bytes: info.memory.scratchBytes,
      planned_bytes: info.plannedBytes,
      peak_rss_bytes: process.resourceUsage().maxRSS * BYTES_PER_KILOBYTE,
    },
  };
}
