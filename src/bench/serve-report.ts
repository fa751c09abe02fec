import type { ServeLoad } from './serve-load.ts';
import { percentileOf } from './users-report.ts';

/** How a server fared under load, as `--json` prints it. Times are in milliseconds; what nothing was measured of is null. */
export interface ServeRow {
  readonly wall_ms: number;
  readonly requests: number;
  readonly errors: number;
  /** The first few. */
  readonly error_messages: readonly string[];
  /** Answers that their clients left midway. */
  readonly left: number;
  readonly tokens: number;
  readonly tokens_per_second: number;
  readonly ttft_ms_p50: number | null;
  readonly ttft_ms_p99: number | null;
  /** From one piece of text to the next, as clients see them. */
  readonly itl_ms_p50: number | null;
  readonly itl_ms_p99: number | null;
}

const MAX_MESSAGES = 5;

export function serveRow({ wallMs, outcomes }: ServeLoad): ServeRow {
  const ttftMs = outcomes.flatMap((outcome) => outcome.ttftMs ?? []);
  const gapsMs = outcomes.flatMap((outcome) => outcome.gapsMs);
  const errors = outcomes.flatMap(({ error }) => error ?? []);
  const numTokens = outcomes.reduce((sum, outcome) => sum + outcome.numTokens, 0);
  return {
    wall_ms: wallMs,
    requests: outcomes.length,
    errors: errors.length,
    error_messages: errors.slice(0, MAX_MESSAGES),
    left: outcomes.filter(({ end }) => end === 'left').length,
    tokens: numTokens,
    tokens_per_second: (1000 * numTokens) / wallMs,
    ttft_ms_p50: percentileOrNull(ttftMs, 50),
    ttft_ms_p99: percentileOrNull(ttftMs, 99),
    itl_ms_p50: percentileOrNull(gapsMs, 50),
    itl_ms_p99: percentileOrNull(gapsMs, 99),
  };
}

function percentileOrNull(values: readonly number[], percent: number): number | null {
  return values.length === 0 ? null : percentileOf(values, percent);
}
