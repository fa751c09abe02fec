import type { Model, ModelInfo } from '../engine/types.ts';
import type { BenchOptions } from './cli-options.ts';
import type { CliContext } from './cli-context.ts';
import { EXIT } from './exit-code.ts';
import { formatCount, formatFixed, formatQuantity } from './format.ts';
import { Interruptible } from './interrupts.ts';
import { loadModel } from './load-model.ts';
import { Output } from './output.ts';
import { ProgressLine } from './progress-line.ts';

const DEFAULTS = { kv: ['f16', 'q8', 'q4'], ctx: [128, 1024, 4096], newTokens: 32, runs: 2 };

/** One row: a format at a length of prompt. Rates are those of the best run. */
export interface BenchRow {
  readonly kv: string;
  readonly prompt_tokens: number;
  readonly prefill_tps: number;
  /** Null where the model ended before its second token. */
  readonly decode_tps: number | null;
  readonly bits_per_element: number;
  readonly bytes: number;
  readonly load_ms: number;
}

const COLUMNS = ['kv', 'prompt', 'prefill tok/s', 'decode tok/s', 'bits/element', 'cache MB', 'load ms'];
const COLUMN_WIDTH = 14;

/**
 * Measures prefill and decode for every format and length of prompt, one after the other, and prints a row as soon as it is known.
 * Prompts are random tokens, the same in every run.
 *
 * @returns the exit code
 * @throws KvantError, and what `load` and the generations throw
 */
export async function benchCommand(options: BenchOptions, context: CliContext): Promise<number> {
  const work = new Interruptible(context.interrupts);
  const output = new Output(context.stdout);
  const report = new Report(output, options.json === true);
  try {
    for (const kv of options.kv ?? DEFAULTS.kv) await benchFormat(kv, options, { work, report }, context);
    await report.end();
    return EXIT.ok;
  } catch (error) {
    if (work.exitCode !== undefined) return work.exitCode;
    throw error;
  } finally {
    work.end();
  }
}

async function benchFormat(
  kv: string,
  options: BenchOptions,
  { work, report }: { readonly work: Interruptible; readonly report: Report },
  context: CliContext,
): Promise<void> {
  const { ctx: lengths = DEFAULTS.ctx, newTokens = DEFAULTS.newTokens, runs = DEFAULTS.runs } = options;
  const { model: path, threads, backend } = options;
  const ctx = Math.max(...lengths) + newTokens;
  const loadOptions = {
    kv,
    ctx,
    ...(path && { model: path }),
    ...(threads && { threads }),
    ...(backend && { backend }),
  };
  const model = await loadModel(loadOptions, context, work.signal);
  const progress = new ProgressLine(context.stderr, context.env['TERM']);
  try {
    await report.begin(model.info);
    for (const length of lengths) {
      progress.show(() => `measuring ${kv} at ${formatCount(length)} tokens`);
      const row = await bestOf(model, length, { newTokens, runs, signal: work.signal });
      progress.clear();
      await report.add(row);
    }
  } finally {
    progress.clear();
    await model.close();
  }
}

interface Repetition {
  readonly newTokens: number;
  readonly runs: number;
  readonly signal: AbortSignal;
}

async function bestOf(model: Model, length: number, { newTokens, runs, signal }: Repetition): Promise<BenchRow> {
  const tokens = randomTokens(length, model.info.vocabularySize);
  let best: BenchRow | undefined;
  for (let run = 0; run < runs; run++) {
    const { kv, timings } = await model.generate({ tokens, maxTokens: newTokens, signal }).result;
    signal.throwIfAborted();
    best = {
      kv: kv.format,
      prompt_tokens: length,
      prefill_tps: Math.max(best?.prefill_tps ?? 0, timings.prefillTps ?? 0),
      decode_tps: Math.max(best?.decode_tps ?? 0, timings.decodeTps ?? 0) || null,
      bits_per_element: kv.bitsPerElement,
      bytes: kv.bytes,
      load_ms: timings.loadMs,
    };
  }
  if (!best) throw new RangeError(`${runs} runs measure nothing`);
  return best;
}

/** The same for the same length; a linear congruential generator (Numerical Recipes) is random enough for a prompt. */
function randomTokens(length: number, vocabularySize: number): number[] {
  let state = length;
  return Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * vocabularySize);
  });
}

/** The table as it grows, or one JSON object at the end. */
class Report {
  readonly #output: Output;
  readonly #json: boolean;
  readonly #rows: BenchRow[] = [];
  #info: ModelInfo | undefined;

  constructor(output: Output, json: boolean) {
    this.#output = output;
    this.#json = json;
  }

  async begin(info: ModelInfo): Promise<void> {
    const isFirst = this.#info === undefined;
    this.#info = info;
    if (this.#json || !isFirst) return;
    const { name, threads, isa } = info.backend;
    await this.#output.write(`${info.name} · ${name}, ${formatQuantity(threads, 'thread')}, ${isa}\n`);
    await this.#output.write(tableLine(COLUMNS));
  }

  async add(row: BenchRow): Promise<void> {
    this.#rows.push(row);
    if (this.#json) return;
    const { kv, prompt_tokens, prefill_tps, decode_tps, bits_per_element, bytes, load_ms } = row;
    const rates = [prefill_tps, decode_tps].map((rate) => (rate === null ? '-' : formatFixed(rate, 1)));
    const cache = [formatFixed(bits_per_element, 2), formatFixed(bytes / 1e6, 1), formatCount(load_ms)];
    await this.#output.write(tableLine([kv, formatCount(prompt_tokens), ...rates, ...cache]));
  }

  async end(): Promise<void> {
    if (this.#json) {
      const report = { model: this.#info?.name, backend: this.#info?.backend, rows: this.#rows };
      await this.#output.write(`${JSON.stringify(report)}\n`);
    }
    await this.#output.flush();
  }
}

function tableLine(cells: readonly string[]): string {
  return `${cells
    .map((cell) => cell.padStart(COLUMN_WIDTH))
    .join('')
    .trimEnd()}\n`;
}
