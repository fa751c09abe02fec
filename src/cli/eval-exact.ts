import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isExact, runExactness, type CellResult, type ConditionResult } from '../eval/exactness.ts';
import { evalSetup, prepareModel } from '../eval/setup-node.ts';
import { measureInSession, type BenchSession } from './bench-session.ts';
import { headingLine, rowLine, type Column } from './bench-table.ts';
import type { CliContext } from './cli-context.ts';
import type { ExactOptions } from './cli-options.ts';
import { EVAL_DEFAULTS } from './eval-flags.ts';
import { evalHeader, type EvalHeader } from './eval-header.ts';
import { EXIT } from './exit-code.ts';
import { formatCount } from './format.ts';
import { definedOnly } from './load-model.ts';

/** A condition in one format, as `--json` prints it. */
export interface ExactCellRow {
  readonly kv: string;
  readonly exact: boolean;
  /** Compared rows of logits, and generated tokens. */
  readonly rows: number;
  readonly tokens: number;
  readonly first_difference: {
    readonly what: 'logits' | 'token';
    readonly position: number;
    readonly run: string;
    readonly detail: string;
  } | null;
  /** Why nothing is shown, though nothing differs. */
  readonly problem: string | null;
}

export interface ExactReport extends EvalHeader {
  readonly tokens: number;
  /** Whether every cell is. */
  readonly exact: boolean;
  readonly conditions: readonly { readonly condition: string; readonly cells: readonly ExactCellRow[] }[];
}

/** The engine as it ships: measured are not losses, but whether anything differs. */
const ACTIVATIONS = 'int8';
const CONDITION_WIDTH = 42;
const CELL_WIDTH = 15;

/**
 * Prints the matrix of exactness.
 *
 * @param run computes it
 * @returns the exit code: a failure if any cell is not exact
 * @throws KvantError
 */
export async function evalExactCommand(
  options: ExactOptions,
  context: CliContext,
  run: typeof runExactness = runExactness,
): Promise<number> {
  let isAllExact = true;
  const exitCode = await measureInSession(options.json === true, context, async (session) => {
    const folder = await mkdtemp(join(tmpdir(), 'kvant-exact-'));
    try {
      const report = await evalExact(options, session, run, folder);
      isAllExact = report.exact;
      return report;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
  return isAllExact ? exitCode : EXIT.failure;
}

/** @param folder for a session file */
async function evalExact(
  options: ExactOptions,
  session: BenchSession,
  run: typeof runExactness,
  folder: string,
): Promise<ExactReport> {
  const { model, calibration, threads, backend, tokens = EVAL_DEFAULTS.exactTokens } = options;
  const kvFormats = [...new Set(options.kv ?? EVAL_DEFAULTS.exactKv)];
  const setup = {
    ...(await evalSetup(definedOnly({ model, calibration, threads, backend }), ACTIVATIONS, session.signal)),
    scratchFile: join(folder, 'exact.kvp'),
  };
  const tokenizer = await prepareModel(setup, kvFormats);
  const columns = matrixColumns(kvFormats);
  const conditions: ConditionResult[] = [];
  let header: EvalHeader | undefined;
  await run({ kvFormats, numTokens: tokens }, tokenizer, setup, {
    onProgress: (describe) => session.progress(describe),
    async onLoaded(info) {
      header = evalHeader(info, setup, 'built-in text');
      await session.title(info);
      const what = 'compared with the prompt alone: === all bits equal, in rows of logits / generated tokens';
      await session.print(`${formatCount(tokens)} tokens of a built-in text, ${what}\n${headingLine(columns)}`);
    },
    async onResult(result) {
      conditions.push(result);
      await session.print(`${rowLine(columns, result)}${result.cells.map(remark).join('')}`);
    },
  });
  const rows = conditions.map(({ condition, cells }) => ({ condition, cells: cells.map(cellRow) }));
  const exact = conditions.every(({ cells }) => cells.every(isExact));
  const numCells = formatCount(rows.length * kvFormats.length);
  const numWrong = rows.flatMap(({ cells }) => cells).filter((cell) => !cell.exact).length;
  await session.print(
    exact ? `all ${numCells} cells ===\n` : `${formatCount(numWrong)} of ${numCells} cells are not ===\n`,
  );
  return { ...(header as EvalHeader), tokens, exact, conditions: rows };
}

function matrixColumns(kvFormats: readonly string[]): Column<ConditionResult>[] {
  const first: Column<ConditionResult> = {
    heading: 'condition'.padEnd(CONDITION_WIDTH),
    cell: ({ condition }) => condition.padEnd(CONDITION_WIDTH),
  };
  const formats = kvFormats.map((kv, index) => ({
    heading: kv,
    width: CELL_WIDTH,
    cell: ({ cells }: ConditionResult) => cellText(cells[index]),
  }));
  return [first, ...formats];
}

/** `=== 282/32`, `!== at 133`, or `not shown`. */
function cellText(cell: CellResult): string {
  if (cell.firstDifference) return `!== at ${formatCount(cell.firstDifference.position)}`;
  if (cell.problem !== undefined) return 'not shown';
  return `=== ${formatCount(cell.numRows)}/${formatCount(cell.numTokens)}`;
}

/** A line that says what is wrong with a cell, if anything is. */
function remark({ kv, firstDifference, problem }: CellResult): string {
  const lines: string[] = [];
  if (firstDifference) {
    const { run, what, position, detail } = firstDifference;
    const where = what === 'logits' ? `logits of position ${position}` : `token at position ${position}`;
    lines.push(`    ${kv}, ${run}: ${where} differ${what === 'logits' ? '' : 's'}: ${detail}\n`);
  }
  if (problem !== undefined) lines.push(`    ${kv}: ${problem}\n`);
  return lines.join('');
}

function cellRow(cell: CellResult): ExactCellRow {
  const { kv, numRows, numTokens, firstDifference, problem } = cell;
  return {
    ...{ kv, exact: isExact(cell), rows: numRows, tokens: numTokens },
    ...{ first_difference: firstDifference ?? null, problem: problem ?? null },
  };
}
