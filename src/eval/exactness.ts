import type { ModelInfo } from '../engine/types.ts';
import { KvantError } from '../errors.ts';
import type { Tokenizer } from '../tokens/tokenizer.ts';
import type { EvalSetup } from './eval-engine.ts';
import { Baselines } from './exactness/baselines.ts';
import { Cell, isExact, type CellResult } from './exactness/cell.ts';
import type { Condition } from './exactness/condition.ts';
import { EXACTNESS_CONDITIONS } from './exactness/conditions.ts';
import { ExactText } from './exactness/exact-text.ts';

export { isExact, type CellResult };

/** A row of the matrix: one condition in every format. */
export interface ConditionResult {
  readonly condition: string;
  readonly cells: readonly CellResult[];
}

export interface ExactnessOptions {
  /** Columns; at least one. */
  readonly kvFormats: readonly string[];
  /** Length of the prompt. */
  readonly numTokens: number;
  /** Rows; all where absent. */
  readonly conditions?: readonly Condition[];
}

export interface ExactnessEvents {
  /** What is computed now. */
  readonly onProgress: (text: () => string) => void;
  /** Once, before anything is compared. */
  readonly onLoaded: (info: ModelInfo) => Promise<void>;
  /** As soon as a row is known. */
  readonly onResult: (result: ConditionResult) => Promise<void>;
}

/**
 * Compares, bit by bit, what a prompt gives in many conditions with what it gives alone: raw logits and generated tokens.
 *
 * @param setup its context is replaced by what the prompt needs
 * @throws KvantError as loading and generating do; PageIntegrityError where an engine's pages do not add up; the signal's reason if it aborts
 */
export async function runExactness(
  options: ExactnessOptions,
  tokenizer: Tokenizer,
  setup: EvalSetup,
  events: ExactnessEvents,
): Promise<void> {
  const { kvFormats, numTokens, conditions = EXACTNESS_CONDITIONS } = options;
  const text = new ExactText(tokenizer, numTokens);
  await checkContext(text, setup);
  const load = { ...setup.load, ctx: text.ctx };
  const columns = kvFormats.map((kv) => ({ kv, baselines: new Baselines(kv, text, { ...setup, load }) }));
  try {
    for (const [index, { kv, baselines }] of columns.entries()) {
      events.onProgress(() => `${kv} alone`);
      const info = await baselines.start();
      await baselines.rest();
      if (index === 0) await events.onLoaded(info);
    }
    const rows = conditions.filter(({ backends }) => backends === undefined || backends.includes(load.backend));
    for (const [index, condition] of rows.entries()) {
      const cells: CellResult[] = [];
      for (const { kv, baselines } of columns) {
        events.onProgress(() => `condition ${index + 1} of ${rows.length}: ${condition.name}, ${kv}`);
        const cell = new Cell({ kv, otherKvs: others(kvFormats, kv), text, baselines, setup: { ...setup, load } });
        await condition.run(cell);
        await baselines.rest();
        cells.push(cell.result());
      }
      await events.onResult({ condition: condition.name, cells });
    }
  } finally {
    for (const { baselines } of columns) await baselines.close();
  }
}

/** @throws KvantError INVALID_OPTION if the model's context does not hold the prompt and what comes after it */
async function checkContext(text: ExactText, { load, openModel }: EvalSetup): Promise<void> {
  const { hyperparameters, file } = await openModel(load.modelPath);
  await file.close();
  const { contextLength } = hyperparameters;
  if (text.ctx <= contextLength) return;
  const most = (contextLength - (text.ctx - text.length)).toLocaleString('en-US');
  const message = `option "tokens" must be at most ${most}, so that the model's context holds the prompt and its answers; got `;
  throw new KvantError('INVALID_OPTION', `${message}${text.length.toLocaleString('en-US')}`);
}

/** The formats after one of them, around to those before it; one that it can be mixed with where it is alone. */
function others(kvFormats: readonly string[], kv: string): string[] {
  const index = kvFormats.indexOf(kv);
  const found = [...kvFormats.slice(index + 1), ...kvFormats.slice(0, index)].filter((other) => other !== kv);
  return found.length > 0 ? found : [kv === 'f16' ? 'q4' : 'f16'];
}
