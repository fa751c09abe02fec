import { KvantError } from '../errors.ts';
import { bestOf, medianOf } from './peer-comparison.ts';
import type { DecodeRun } from './speculation-contender.ts';

const MS_PER_SECOND = 1000;

/** Decoding with drafts beside decoding without, as `--json` prints it; rates are tokens per second: best run, median, every run. */
export interface SpeculationRow {
  readonly kv: string;
  readonly task: string;
  /** Decoded in a run, after the first one of each answer. */
  readonly tokens: number;
  readonly off_tps: number;
  readonly off_tps_median: number;
  readonly off_tps_runs: readonly number[];
  readonly lookup_tps: number;
  readonly lookup_tps_median: number;
  readonly lookup_tps_runs: readonly number[];
  /** Of the best runs, and of the medians. */
  readonly ratio: number;
  readonly ratio_of_medians: number;
  /** In the last run. */
  readonly drafted_tokens: number;
  readonly accepted_tokens: number;
}

/**
 * @throws KvantError ENGINE_FAILED if an answer with drafts differs from one without
 * @throws RangeError for runs in which nothing was decoded
 */
export function speculationRow(
  { kv, task }: { readonly kv: string; readonly task: string },
  off: readonly DecodeRun[],
  lookup: readonly DecodeRun[],
): SpeculationRow {
  const [first] = off;
  const isSame = ({ answers }: DecodeRun): boolean => JSON.stringify(answers) === JSON.stringify(first.answers);
  if (![...off, ...lookup].every(isSame)) {
    throw new KvantError(
      'ENGINE_FAILED',
      `${kv}: drafts have changed an answer to a prompt of "${task}": this is a bug in Kvant`,
    );
  }
  const [plain, drafted] = [ratesOf(off), ratesOf(lookup)];
  return {
    kv,
    task,
    tokens: first.numTokens,
    off_tps: plain.best,
    off_tps_median: plain.median,
    off_tps_runs: plain.runs,
    lookup_tps: drafted.best,
    lookup_tps_median: drafted.median,
    lookup_tps_runs: drafted.runs,
    ratio: drafted.best / plain.best,
    ratio_of_medians: drafted.median / plain.median,
    drafted_tokens: lookup.at(-1)?.numDrafted ?? 0,
    accepted_tokens: lookup.at(-1)?.numAccepted ?? 0,
  };
}

function ratesOf(decodes: readonly DecodeRun[]) {
  const runs = decodes.map(({ numTokens, decodeMs }) => (numTokens * MS_PER_SECOND) / decodeMs);
  const [best, median] = [bestOf(runs), medianOf(runs)];
  if (best === undefined || median === undefined || !runs.every(Number.isFinite)) {
    throw new RangeError('runs in which nothing was decoded');
  }
  return { best, median, runs };
}
