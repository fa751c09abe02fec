import { firstTokenRows, type FirstTokenRow } from '../bench/first-token-report.ts';
import { measureInTurn } from '../bench/measure-in-turn.ts';
import { contextOfReturn, ReturnContender, type ReturnWay } from '../bench/return-contender.ts';
import type { BackendDescription } from '../index.ts';
import { FIRST_TOKEN_COLUMNS } from './bench-first-token-table.ts';
import { REUSE_DEFAULTS, type PREEMPTION_FLAGS } from './bench-reuse-flags.ts';
import type { BenchSession } from './bench-session.ts';
import { headingLine, rowLine } from './bench-table.ts';
import type { CliContext } from './cli-context.ts';
import type { OptionsOf } from './cli-options.ts';
import { formatQuantity } from './format.ts';
import { loadModel } from './load-model.ts';

export type PreemptionOptions = OptionsOf<typeof PREEMPTION_FLAGS>;

/** Ways back after a preemption, as `--json` prints them. */
export interface PreemptionSection {
  readonly model: string;
  readonly backend: BackendDescription;
  readonly settings: { readonly runs: number };
  readonly preemption: readonly FirstTokenRow[];
}

const WAYS: readonly ReturnWay[] = ['recompute', 'memory', 'disk'];
const SWAP = { recompute: 'none', memory: 'memory', disk: 'disk' } as const;

/**
 * Measures how long a sequence takes to its next token whose pages have all gone to another one; for every length and format.
 *
 * @throws KvantError, and what `load` and the generations throw
 */
export async function benchPreemption(
  options: PreemptionOptions,
  session: BenchSession,
  context: CliContext,
): Promise<PreemptionSection> {
  const { kv = REUSE_DEFAULTS.kv, lengths = REUSE_DEFAULTS.lengths, runs = REUSE_DEFAULTS.runs } = options;
  const bench = new PreemptionBench(options, runs, { session, context });
  for (const numTokens of lengths) for (const format of kv) await bench.measure(format, numTokens);
  return bench.section();
}

interface Surroundings {
  readonly session: BenchSession;
  readonly context: CliContext;
}

class PreemptionBench {
  readonly #options: PreemptionOptions;
  readonly #runs: number;
  readonly #around: Surroundings;
  readonly #rows: FirstTokenRow[] = [];
  #info: Pick<PreemptionSection, 'model' | 'backend'> | undefined;

  constructor(options: PreemptionOptions, runs: number, around: Surroundings) {
    this.#options = options;
    this.#runs = runs;
    this.#around = around;
  }

  async measure(kv: string, numTokens: number): Promise<void> {
    const { session } = this.#around;
    const contenders: ReturnContender[] = [];
    try {
      for (const way of WAYS) contenders.push(await this.#start(kv, numTokens, way));
      const results = await measureInTurn(contenders, (run) => ({ seed: run + 1, numTokens }), {
        runs: this.#runs,
        signal: session.signal,
        onMeasure: ({ label }, run) => {
          const what = `${kv}, ${formatQuantity(numTokens, 'token')}: ${label}`;
          session.progress(() => `${what}, run ${run + 1} of ${this.#runs}`);
        },
      });
      // The sequence has its first token when it comes back.
      for (const row of firstTokenRows(kv, numTokens + 1, waysOf(results))) {
        this.#rows.push(row);
        await session.print(rowLine(FIRST_TOKEN_COLUMNS, row));
      }
    } finally {
      for (const contender of contenders) await contender.close();
    }
  }

  section(): PreemptionSection {
    if (!this.#info) throw new RangeError('nothing was measured');
    return { ...this.#info, settings: { runs: this.#runs }, preemption: this.#rows };
  }

  async #start(kv: string, numTokens: number, way: ReturnWay): Promise<ReturnContender> {
    const { session, context } = this.#around;
    const { model: path, calibration, threads, backend, json } = this.#options;
    const flags = { model: path, calibration, threads, backend, json } as PreemptionOptions;
    const options = { ...flags, kv, ctx: contextOfReturn(numTokens), swap: SWAP[way] };
    const model = await loadModel(options, context, session.signal);
    if (!this.#info) {
      this.#info = { model: model.info.name, backend: model.info.backend };
      await session.title(model.info);
      await session.print(headingLine(FIRST_TOKEN_COLUMNS));
    }
    return new ReturnContender(model, way);
  }
}

function waysOf<Result>(results: readonly Result[][]) {
  return WAYS.map((way, index) => ({ way, runs: results[index] }));
}
