import { medianOf } from './peer-comparison.ts';

/** How long somebody waited for the first token of an answer. */
export interface FirstToken {
  readonly ms: number;
  /** Prompt tokens that were not computed. */
  readonly cachedTokens: number;
}

/** A way to the first token, as `--json` prints it: the fastest run, the middle one, and every run. */
export interface FirstTokenRow {
  readonly kv: string;
  readonly way: string;
  readonly prompt_tokens: number;
  readonly cached_tokens: number;
  readonly ms: number;
  readonly ms_median: number;
  readonly ms_runs: readonly number[];
  /** Time of recomputing by the time of this way, of the fastest runs. */
  readonly times_as_fast: number;
}

export interface MeasuredWay {
  readonly way: string;
  readonly runs: readonly FirstToken[];
}

/**
 * @param ways of the same prompt; the first one computes all of it
 * @throws RangeError without runs
 */
export function firstTokenRows(kv: string, numPromptTokens: number, ways: readonly MeasuredWay[]): FirstTokenRow[] {
  const recomputeMs = Math.min(...ways[0].runs.map(({ ms }) => ms));
  return ways.map(({ way, runs }) => {
    const times = runs.map(({ ms }) => ms);
    const median = medianOf(times);
    if (median === undefined) throw new RangeError('a row of no runs');
    const best = Math.min(...times);
    return {
      kv,
      way,
      prompt_tokens: numPromptTokens,
      cached_tokens: Math.min(...runs.map(({ cachedTokens }) => cachedTokens)),
      ms: best,
      ms_median: median,
      ms_runs: times,
      times_as_fast: recomputeMs / best,
    };
  });
}
