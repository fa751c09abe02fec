import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { firstTokenRows, type FirstTokenRow } from '../bench/first-token-report.ts';
import { measureInTurn } from '../bench/measure-in-turn.ts';
import { QuestionContender, type QuestionTask } from '../bench/question-contender.ts';
import { RestoreContender } from '../bench/restore-contender.ts';
import { DISTRACTOR_TEXT } from '../eval/distractor-text.ts';
import type { BackendDescription, Model } from '../index.ts';
import { FIRST_TOKEN_COLUMNS } from './bench-first-token-table.ts';
import { REUSE_DEFAULTS, type FIRST_TOKEN_FLAGS } from './bench-reuse-flags.ts';
import type { BenchSession } from './bench-session.ts';
import { headingLine, rowLine } from './bench-table.ts';
import type { CliContext } from './cli-context.ts';
import type { OptionsOf } from './cli-options.ts';
import { formatCount } from './format.ts';
import { loadModel } from './load-model.ts';

export type FirstTokenOptions = OptionsOf<typeof FIRST_TOKEN_FLAGS>;

/** First tokens, as `--json` prints them. */
export interface FirstTokenSection {
  readonly model: string;
  readonly backend: BackendDescription;
  readonly settings: { readonly runs: number; readonly document_tokens: number };
  readonly first_token: readonly FirstTokenRow[];
}

const QUESTION = 'What does the text say about the garden, and who is afraid of whom?';
/** More than any question has. */
const QUESTION_TOKENS = 128;

/**
 * Measures how long the first token of an answer to a question about a document takes that was asked about before; for every format.
 *
 * @throws KvantError, and what `load` and the generations throw
 */
export async function benchFirstToken(
  options: FirstTokenOptions,
  session: BenchSession,
  context: CliContext,
): Promise<FirstTokenSection> {
  const folder = await mkdtemp(join(tmpdir(), 'kvant-bench-'));
  const bench = new FirstTokenBench(options, folder, { session, context });
  try {
    for (const kv of options.kv ?? REUSE_DEFAULTS.kv) await bench.measure(kv);
    return bench.section();
  } finally {
    await rm(folder, { recursive: true });
  }
}

interface Surroundings {
  readonly session: BenchSession;
  readonly context: CliContext;
}

class FirstTokenBench {
  readonly #options: FirstTokenOptions;
  readonly #documentTokens: number;
  readonly #runs: number;
  /** For session files. */
  readonly #folder: string;
  readonly #around: Surroundings;
  readonly #rows: FirstTokenRow[] = [];
  #info: Pick<FirstTokenSection, 'model' | 'backend'> | undefined;

  constructor(options: FirstTokenOptions, folder: string, around: Surroundings) {
    this.#options = options;
    this.#documentTokens = options.document ?? REUSE_DEFAULTS.document;
    this.#runs = options.runs ?? REUSE_DEFAULTS.runs;
    this.#folder = folder;
    this.#around = around;
  }

  async measure(kv: string): Promise<void> {
    const { session } = this.#around;
    const models: Model[] = [];
    try {
      models.push(await this.#load(kv));
      const tasks = await tasksOf(models[0], this.#documentTokens, this.#runs);
      const path = join(this.#folder, kv);
      await this.#askFirst(models[0], tasks[this.#runs], path);
      // The file is loaded by an engine that has not seen the document.
      models.push(await this.#load(kv));
      for (const row of await this.#measureWays(kv, models, path, tasks)) {
        this.#rows.push(row);
        await session.print(rowLine(FIRST_TOKEN_COLUMNS, row));
      }
    } finally {
      for (const model of models) await model.close();
    }
  }

  section(): FirstTokenSection {
    if (!this.#info) throw new RangeError('nothing was measured');
    const settings = { runs: this.#runs, document_tokens: this.#documentTokens };
    return { ...this.#info, settings, first_token: this.#rows };
  }

  async #load(kv: string): Promise<Model> {
    const { session, context } = this.#around;
    const { model: path, calibration, threads, backend, json } = this.#options;
    const flags = { model: path, calibration, threads, backend, json } as FirstTokenOptions;
    // Room for the document in the cache, and once more for computing it anew.
    const sizes = { ctx: this.#documentTokens + QUESTION_TOKENS, maxSequences: 2 };
    const model = await loadModel({ ...flags, ...sizes, kv }, context, session.signal);
    if (!this.#info) {
      this.#info = { model: model.info.name, backend: model.info.backend };
      await session.title(model.info);
      await session.print(headingLine(FIRST_TOKEN_COLUMNS));
    }
    return model;
  }

  /** Leaves the document in the cache and in a file. */
  async #askFirst(model: Model, { document, question }: QuestionTask, path: string): Promise<void> {
    const { session } = this.#around;
    const what = `${formatCount(document.length)} tokens in ${model.info.kvFormat}`;
    session.progress(() => `asking a first question about ${what}`);
    await model.generate({ tokens: [...document, ...question], maxTokens: 1, signal: session.signal }).result;
    session.signal.throwIfAborted();
    await model.saveSession(path, { tokens: document });
  }

  async #measureWays(
    kv: string,
    [model, other]: readonly Model[],
    path: string,
    tasks: readonly QuestionTask[],
  ): Promise<FirstTokenRow[]> {
    const { session } = this.#around;
    const recompute = new QuestionContender(model, 'recompute');
    const contenders = [recompute, new QuestionContender(model, 'prefix hit'), new RestoreContender(other, path)];
    const results = await measureInTurn(contenders, (run) => tasks[run], {
      runs: this.#runs,
      signal: session.signal,
      onMeasure: ({ label }, run) => session.progress(() => `${kv}: ${label}, run ${run + 1} of ${this.#runs}`),
    });
    const ways = contenders.map(({ label }, index) => ({ way: label, runs: results[index] }));
    const [{ document, question }] = tasks;
    return firstTokenRows(kv, document.length + question.length, ways);
  }
}

/** A question for each run, and one more. */
async function tasksOf(model: Model, numTokens: number, runs: number): Promise<QuestionTask[]> {
  const document = await documentOf(model, numTokens);
  const tasks: QuestionTask[] = [];
  for (let run = 0; run <= runs; run++) {
    tasks.push({ document, question: await model.tokenize(`\n\nQuestion ${run + 1}: ${QUESTION}\nAnswer:`) });
  }
  return tasks;
}

/** A text that goes round and round. */
async function documentOf(model: Model, numTokens: number): Promise<number[]> {
  const once = await model.tokenize(DISTRACTOR_TEXT);
  return Array.from({ length: numTokens }, (_, index) => once[index % once.length]);
}
