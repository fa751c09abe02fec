import { LOOKUP_TASKS } from '../bench/lookup-tasks.ts';
import { measureInTurn } from '../bench/measure-in-turn.ts';
import { SpeculationContender } from '../bench/speculation-contender.ts';
import { speculationRow, type SpeculationRow } from '../bench/speculation-report.ts';
import type { BackendDescription } from '../index.ts';
import { REUSE_DEFAULTS, type LOOKUP_FLAGS } from './bench-reuse-flags.ts';
import type { BenchSession } from './bench-session.ts';
import { headingLine, rowLine, type Column } from './bench-table.ts';
import type { CliContext } from './cli-context.ts';
import type { OptionsOf } from './cli-options.ts';
import { formatCount, formatFixed } from './format.ts';
import { loadModel } from './load-model.ts';

export type LookupOptions = OptionsOf<typeof LOOKUP_FLAGS>;

/** Decoding with prompt lookup, as `--json` prints it. */
export interface LookupSection {
  readonly model: string;
  readonly backend: BackendDescription;
  readonly settings: { readonly runs: number; readonly new_tokens: number };
  readonly lookup: readonly SpeculationRow[];
}

/** Prompts are short: their tokens and an answer's fit into this, beside what a template adds. */
const PROMPT_TOKENS = 512;
const WARM_UP = { prompts: ['Say hello.'], maxTokens: 8 };

const COLUMNS: readonly Column<SpeculationRow>[] = [
  { heading: 'kv', width: 8, cell: ({ kv }) => kv },
  { heading: 'task', width: 7, cell: ({ task }) => task },
  { heading: 'tokens', width: 8, cell: ({ tokens }) => formatCount(tokens) },
  { heading: 'off tok/s', width: 11, cell: ({ off_tps }) => formatFixed(off_tps, 1) },
  { heading: 'lookup tok/s', width: 14, cell: ({ lookup_tps }) => formatFixed(lookup_tps, 1) },
  { heading: 'ratio', width: 8, cell: ({ ratio }) => `${formatFixed(ratio, 2)}x` },
  { heading: 'of medians', width: 12, cell: (row) => `${formatFixed(row.ratio_of_medians, 2)}x` },
  { heading: 'drafted', width: 9, cell: ({ drafted_tokens }) => formatCount(drafted_tokens) },
  { heading: 'accepted', width: 10, cell: ({ accepted_tokens }) => formatCount(accepted_tokens) },
];

/**
 * Measures decoding with prompt lookup beside decoding without, in turn, on texts that repeat their prompt and on texts that do not.
 *
 * @throws KvantError ENGINE_FAILED if an answer depends on drafts, and what `load` and the generations throw
 */
export async function benchLookup(
  options: LookupOptions,
  session: BenchSession,
  context: CliContext,
): Promise<LookupSection> {
  const { kv = REUSE_DEFAULTS.kv, newTokens = REUSE_DEFAULTS.newTokens, runs = REUSE_DEFAULTS.runs } = options;
  const { model: path, calibration, threads, backend, json } = options;
  const flags = { model: path, calibration, threads, backend, json } as LookupOptions;
  const rows: SpeculationRow[] = [];
  let info: Pick<LookupSection, 'model' | 'backend'> | undefined;
  for (const format of kv) {
    const model = await loadModel({ ...flags, kv: format, ctx: PROMPT_TOKENS + newTokens }, context, session.signal);
    const contenders = (['off', 'lookup'] as const).map((mode) => new SpeculationContender(model, mode));
    try {
      if (!info) {
        info = { model: model.info.name, backend: model.info.backend };
        await session.title(model.info);
        await session.print(headingLine(COLUMNS));
      }
      for (const row of await measureTasks(format, contenders, { newTokens, runs }, session)) {
        rows.push(row);
        await session.print(rowLine(COLUMNS, row));
      }
    } finally {
      await model.close();
    }
  }
  if (!info) throw new RangeError('nothing was measured');
  return { ...info, settings: { runs, new_tokens: newTokens }, lookup: rows };
}

async function measureTasks(
  kv: string,
  contenders: readonly SpeculationContender[],
  { newTokens, runs }: { readonly newTokens: number; readonly runs: number },
  session: BenchSession,
): Promise<SpeculationRow[]> {
  const { signal } = session;
  const rows: SpeculationRow[] = [];
  session.progress(() => `warming up ${kv}`);
  for (const contender of contenders) await contender.measure(WARM_UP, signal);
  for (const { name, prompts } of LOOKUP_TASKS) {
    const [off, lookup] = await measureInTurn(contenders, () => ({ prompts, maxTokens: newTokens }), {
      runs,
      signal,
      onMeasure: ({ label }, run) => session.progress(() => `${kv}, ${name}: ${label}, run ${run + 1} of ${runs}`),
    });
    rows.push(speculationRow({ kv, task: name }, off, lookup));
  }
  return rows;
}
