import { firstTokenRows, type FirstTokenRow } from '../bench/first-token-report.ts';
import { measureInTurn } from '../bench/measure-in-turn.ts';
import { QuestionContender, type QuestionTask } from '../bench/question-contender.ts';
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
  const {
    kv = REUSE_DEFAULTS.kv,
    document: documentTokens = REUSE_DEFAULTS.document,
    runs = REUSE_DEFAULTS.runs,
  } = options;
  const rows: FirstTokenRow[] = [];
  let info: Pick<FirstTokenSection, 'model' | 'backend'> | undefined;
  for (const format of kv) {
    // Room for the document in the cache, and once more for computing it anew.
    const sizes = { ctx: documentTokens + QUESTION_TOKENS, maxSequences: 2 };
    const model = await loadModel({ ...modelFlags(options), ...sizes, kv: format }, context, session.signal);
    try {
      if (!info) {
        info = { model: model.info.name, backend: model.info.backend };
        await session.title(model.info);
        await session.print(headingLine(FIRST_TOKEN_COLUMNS));
      }
      for (const row of await measureModel(model, { documentTokens, runs }, session)) {
        rows.push(row);
        await session.print(rowLine(FIRST_TOKEN_COLUMNS, row));
      }
    } finally {
      await model.close();
    }
  }
  if (!info) throw new RangeError('nothing was measured');
  return { ...info, settings: { runs, document_tokens: documentTokens }, first_token: rows };
}

async function measureModel(
  model: Model,
  { documentTokens, runs }: { readonly documentTokens: number; readonly runs: number },
  session: BenchSession,
): Promise<FirstTokenRow[]> {
  const { signal } = session;
  const { kvFormat } = model.info;
  const document = await documentOf(model, documentTokens);
  const tasks: QuestionTask[] = [];
  for (let run = 0; run <= runs; run++) {
    tasks.push({ document, question: await model.tokenize(`\n\nQuestion ${run + 1}: ${QUESTION}\nAnswer:`) });
  }
  const [recompute, hit] = [new QuestionContender(model, 'recompute'), new QuestionContender(model, 'prefix hit')];
  session.progress(() => `asking a first question about ${formatCount(documentTokens)} tokens in ${kvFormat}`);
  const tokens = [...document, ...tasks[runs].question];
  await model.generate({ tokens, maxTokens: 1, signal }).result;
  signal.throwIfAborted();
  const results = await measureInTurn([recompute, hit], (run) => tasks[run], {
    runs,
    signal,
    onMeasure: ({ label }, run) => session.progress(() => `${kvFormat}: ${label}, run ${run + 1} of ${runs}`),
  });
  const ways = [recompute, hit].map(({ label }, index) => ({ way: label, runs: results[index] }));
  return firstTokenRows(kvFormat, document.length + tasks[0].question.length, ways);
}

/** A text that goes round and round. */
async function documentOf(model: Model, numTokens: number): Promise<number[]> {
  const once = await model.tokenize(DISTRACTOR_TEXT);
  return Array.from({ length: numTokens }, (_, index) => once[index % once.length]);
}

function modelFlags({ model, calibration, threads, backend, json }: FirstTokenOptions): FirstTokenOptions {
  return { model, calibration, threads, backend, json } as FirstTokenOptions;
}
