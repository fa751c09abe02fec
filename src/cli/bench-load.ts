import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { medianOf } from '../bench/peer-comparison.ts';
import { randomTokens } from '../bench/random-tokens.ts';
import { KvantError } from '../errors.ts';
import { BENCH_DEFAULTS } from './bench-flags.ts';
import type { BenchSession } from './bench-session.ts';
import { headingLine, rowLine, type Column } from './bench-table.ts';
import type { BenchOptions } from './cli-options.ts';
import { formatCount, formatFixed, formatQuantity } from './format.ts';
import type { JsonReport } from './json-report.ts';

const MAIN = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? './main.ts' : './main.js', import.meta.url));
const NUM_COLD_TOKENS = 16;
/** Every vocabulary has as many. */
const VOCABULARY_SIZE = 256;

/** A format at a length of context, as `--json` prints it. Times are in milliseconds. */
export interface LoadRow {
  readonly kv: string;
  readonly ctx: number;
  /** From the start of a process to the first byte of its answer to 16 tokens: the fastest, and the middle one. */
  readonly first_token_ms: number;
  readonly first_token_ms_median: number;
  readonly first_token_ms_runs: readonly number[];
  /** Of the fastest. */
  readonly load_ms: number;
  /** As the model states them. */
  readonly weight_bytes: number;
  readonly page_bytes: number;
  readonly scratch_bytes: number;
  /** What `kvant plan` says that such a process has resident. */
  readonly planned_bytes: number;
  /** Most that a process had resident that filled the whole context. */
  readonly peak_rss_bytes: number;
}

export interface LoadSection {
  readonly model: string;
  readonly load: readonly LoadRow[];
}

const COLUMNS: readonly Column<LoadRow>[] = [
  { heading: 'kv', width: 8, cell: ({ kv }) => kv },
  { heading: 'ctx', width: 8, cell: ({ ctx }) => formatCount(ctx) },
  { heading: 'first token ms', width: 16, cell: (row) => formatCount(row.first_token_ms) },
  { heading: 'median', width: 8, cell: (row) => formatCount(row.first_token_ms_median) },
  { heading: 'load ms', width: 9, cell: ({ load_ms }) => formatCount(load_ms) },
  { heading: 'weights MB', width: 12, cell: (row) => megabytes(row.weight_bytes) },
  { heading: 'pages MB', width: 10, cell: (row) => megabytes(row.page_bytes) },
  { heading: 'scratch MB', width: 12, cell: (row) => megabytes(row.scratch_bytes) },
  { heading: 'peak MB', width: 9, cell: (row) => megabytes(row.peak_rss_bytes) },
  { heading: 'planned MB', width: 12, cell: (row) => megabytes(row.planned_bytes) },
  { heading: 'planned/peak', cell: (row) => `${formatFixed((100 * row.planned_bytes) / row.peak_rss_bytes, 1)}%` },
];

/**
 * Measures cold starts and memory: each in a fresh process of this very program, that generates one token.
 *
 * @throws KvantError ENGINE_FAILED with what such a process says when it fails, the signal's reason if it aborts
 */
export async function benchLoad(options: BenchOptions, session: BenchSession): Promise<LoadSection> {
  const { kv: formats = BENCH_DEFAULTS.kv, ctx: lengths = BENCH_DEFAULTS.ctx } = options;
  const folder = await mkdtemp(join(tmpdir(), 'kvant-bench-'));
  const load: LoadRow[] = [];
  let model = '';
  try {
    for (const ctx of lengths) {
      for (const kv of formats) {
        const { row, report } = await measureLoad({ kv, ctx, folder }, options, session);
        if (load.length === 0) {
          await session.title({ name: report.model, backend: report.backend });
          await session.print(headingLine(COLUMNS));
        }
        model = report.model;
        load.push(row);
        await session.print(rowLine(COLUMNS, row));
      }
    }
  } finally {
    await rm(folder, { recursive: true });
  }
  return { model, load };
}

interface LoadTask {
  readonly kv: string;
  readonly ctx: number;
  /** For files of tokens. */
  readonly folder: string;
}

async function measureLoad(
  task: LoadTask,
  options: BenchOptions,
  session: BenchSession,
): Promise<{ readonly row: LoadRow; readonly report: JsonReport }> {
  const { kv, ctx } = task;
  const { runs = BENCH_DEFAULTS.runs } = options;
  const where = `${kv} with a context of ${formatQuantity(ctx, 'token')}`;
  const starts: Start[] = [];
  for (let run = 0; run < runs; run++) {
    session.progress(() => `starting ${where}, run ${run + 1} of ${runs}`);
    starts.push(await start(task, Math.min(NUM_COLD_TOKENS, ctx), options, session.signal));
  }
  session.progress(() => `filling ${where}`);
  const { report: full } = await start(task, ctx, options, session.signal);
  const fastest = starts.reduce((best, other) => (other.firstByteMs < best.firstByteMs ? other : best));
  const times = starts.map(({ firstByteMs }) => firstByteMs);
  const { weight_bytes, page_bytes, scratch_bytes, planned_bytes, peak_rss_bytes } = full.memory;
  const row = {
    kv: full.kv.format,
    ctx,
    first_token_ms: fastest.firstByteMs,
    first_token_ms_median: medianOf(times) ?? fastest.firstByteMs,
    first_token_ms_runs: times,
    load_ms: fastest.report.timings.load_ms,
    weight_bytes,
    page_bytes,
    scratch_bytes,
    planned_bytes,
    peak_rss_bytes,
  };
  return { row, report: full };
}

interface Start {
  /** From the start of the process. */
  readonly firstByteMs: number;
  readonly report: JsonReport;
}

/** Lets a process answer random tokens by one token. */
async function start(task: LoadTask, numTokens: number, options: BenchOptions, signal: AbortSignal): Promise<Start> {
  const { kv, ctx, folder } = task;
  const { model, calibration, threads, backend } = options;
  const tokens = join(folder, `${numTokens}.json`);
  await writeFile(tokens, JSON.stringify(randomTokens(numTokens, VOCABULARY_SIZE)));
  const args = ['generate', '--json', '--tokens', tokens, '--max-tokens', '1', '--kv', kv, '--ctx', `${ctx}`];
  for (const [flag, value] of Object.entries({ model, calibration, threads, backend })) {
    if (value !== undefined) args.push(`--${flag}`, `${value}`);
  }
  return runProgram(args, signal);
}

async function runProgram(args: readonly string[], signal: AbortSignal): Promise<Start> {
  signal.throwIfAborted();
  const startMs = performance.now();
  let firstByteMs: number | undefined;
  const child = spawn(process.execPath, [...process.execArgv, MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const kill = (): void => void child.kill();
  signal.addEventListener('abort', kill);
  const texts = { stdout: '', stderr: '' };
  child.stdout.once('data', () => (firstByteMs = performance.now() - startMs));
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => (texts[name] += text));
  }
  const exitCode = await new Promise<number | null>((resolve, reject) =>
    child.on('error', reject).on('close', resolve),
  );
  signal.removeEventListener('abort', kill);
  signal.throwIfAborted();
  if (exitCode !== 0 || firstByteMs === undefined) throw startFailed(texts.stderr);
  return { firstByteMs, report: JSON.parse(texts.stdout) as JsonReport };
}

function startFailed(stderr: string): KvantError {
  const reason = stderr.trim().replace(/^kvant: /, '') || 'it said nothing';
  return new KvantError('ENGINE_FAILED', `a fresh process of kvant failed: ${reason}`);
}

function megabytes(bytes: number): string {
  return formatFixed(bytes / 1e6, 1);
}
