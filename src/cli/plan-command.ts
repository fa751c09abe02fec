import { KvantError } from '../errors.ts';
import { plan } from '../engine/plan-node.ts';
import { planReport } from '../engine/plan-report.ts';
import type { FormatPlan, MemoryFix, ModelPlan } from '../index.ts';
import { headingLine, rowLine, type Column } from './bench-table.ts';
import type { CliContext } from './cli-context.ts';
import type { PlanCliOptions } from './cli-options.ts';
import { EXIT } from './exit-code.ts';
import { formatBytes, formatCount, formatFixed, formatQuantity } from './format.ts';
import { definedOnly } from './load-model.ts';
import { Output } from './output.ts';

const COLUMNS: readonly Column<FormatPlan>[] = [
  { heading: 'kv', width: 8, cell: ({ kv }) => kv },
  { heading: 'bits/element', cell: ({ bitsPerElement }) => formatFixed(bitsPerElement, 2) },
  { heading: 'weights MB', width: 12, cell: ({ memory }) => megabytes(memory.weightBytes) },
  { heading: 'pages MB', width: 11, cell: ({ memory }) => megabytes(memory.pageBytes) },
  { heading: 'scratch MB', width: 12, cell: ({ memory }) => megabytes(memory.scratchBytes) },
  { heading: 'runtime MB', width: 12, cell: ({ runtimeBytes }) => megabytes(runtimeBytes) },
  { heading: 'total MB', width: 11, cell: ({ totalBytes }) => megabytes(totalBytes) },
  { heading: 'fits', width: 6, cell: ({ fits }) => (fits ? 'yes' : 'no') },
  { heading: 'longest ctx', width: 13, cell: ({ longestCtx }) => countOrDash(longestCtx) },
  { heading: 'most users', width: 12, cell: ({ mostSequences }) => countOrDash(mostSequences) },
];

/**
 * Prints what a model takes in every format, and what to choose. Nothing but the model's header is read.
 *
 * @returns the exit code
 * @throws KvantError OUT_OF_MEMORY, after the table, if no format fits; and what `plan` throws
 */
export async function planCommand(options: PlanCliOptions, context: CliContext): Promise<number> {
  const { model, draftModel, calibration, kv, ctx, memory, threads, backend, users, json } = options;
  const made = await plan(
    definedOnly({ model, draftModel, calibration, kv, ctx, memory, threads, backend, maxSequences: users }),
  );
  const output = new Output(context.stdout);
  if (json) await output.write(`${JSON.stringify(planReport(made))}\n`);
  else await printPlan(made, output);
  await output.flush();
  if (made.choice === undefined) throw nothingFits(made);
  return EXIT.ok;
}

async function printPlan(made: ModelPlan, output: Output): Promise<void> {
  await output.write(`${titleLine(made)}\n${demandLine(made)}\n\n${headingLine(COLUMNS)}`);
  for (const format of made.formats) await output.write(rowLine(COLUMNS, format));
  await output.write('\nruntime: Node.js, threads and the vocabulary. All of it is resident once contexts are full.\n');
  if (made.choice) await output.write(`--kv ${made.choice.kv}: ${made.choice.reason}.\n`);
}

function titleLine({
  model,
  draftModel,
  architecture,
  numParameters,
  contextLength,
  backend,
  threads,
}: ModelPlan): string {
  const parameters = `${formatCount(numParameters / 1e6)} M parameters`;
  const context = `context ${formatCount(contextLength)}`;
  const drafting = draftModel === undefined ? '' : ` · drafts by ${draftModel}`;
  return `${model} · ${architecture}, ${parameters}, ${context} · ${backend}, ${formatQuantity(threads, 'thread')}${drafting}`;
}

function demandLine({ ctx, maxSequences, limits }: ModelPlan): string {
  const bounds = limits.map(({ bytes, name }) => `${name} ${formatBytes(bytes)}`);
  return `${formatQuantity(maxSequences, 'user')} of ${formatQuantity(ctx, 'token')} · ${bounds.join(', ')}`;
}

function nothingFits({ ctx, maxSequences, formats, fixes }: ModelPlan): KvantError {
  const asked = `${formatQuantity(maxSequences, 'user')} of ${formatQuantity(ctx, 'token')}`;
  const names = formats
    .filter(({ fits }) => !fits)
    .map(({ kv }) => kv)
    .join(', ');
  const advice =
    fixes.length > 0
      ? fixes.map(flagsOf).join(', or ')
      : 'a smaller model, a file of it with fewer bits a weight, or more --memory';
  const message = `no format of ${names} holds ${asked} in that memory; what would fit: ${advice}`;
  return new KvantError('OUT_OF_MEMORY', message);
}

/** A way out as flags of the command. */
function flagsOf({ maxSequences, ctx, kv }: MemoryFix): string {
  const flags: string[] = [];
  if (maxSequences !== undefined) flags.push(`--users ${maxSequences}`);
  if (kv !== undefined) flags.push(`--kv ${kv}`);
  if (ctx !== undefined) flags.push(`--ctx ${ctx}`);
  return flags.join(' ');
}

function megabytes(bytes: number): string {
  return formatFixed(bytes / 1e6, 1);
}

function countOrDash(value: number): string {
  return value === 0 ? '-' : formatCount(value);
}
