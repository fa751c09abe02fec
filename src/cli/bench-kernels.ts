import { availableParallelism } from 'node:os';
import { KernelBench, type CeilingRow, type KernelRow } from '../bench/kernel-bench-node.ts';
import { chooseBackend } from '../engine/choose-backend-node.ts';
import { embeddedModelPath } from '../engine/embedded-model-node.ts';
import { KvantError } from '../errors.ts';
import { BENCH_DEFAULTS } from './bench-flags.ts';
import type { BenchSession } from './bench-session.ts';
import { headingLine, rowLine, type Column } from './bench-table.ts';
import type { BenchOptions } from './cli-options.ts';
import { formatCount, formatFixed, formatQuantity } from './format.ts';

/** Of each kernel, length and number of threads; a run. */
const BUDGET_MS = 150;

/** Kernels alone, as `--json` prints them. */
export interface KernelSection {
  readonly model: string;
  readonly ceilings: readonly CeilingRow[];
  readonly kernels: readonly KernelRow[];
}

export interface KernelRequest {
  readonly attention: boolean;
  readonly matmul: boolean;
  readonly options: BenchOptions;
}

const COLUMNS: readonly Column<KernelRow>[] = [
  { heading: 'kernel', width: 44, cell: ({ kernel, what }) => `${kernel} ${what}` },
  { heading: 'ctx', width: 8, cell: ({ ctx }) => (ctx === null ? '-' : formatCount(ctx)) },
  { heading: 'rows', width: 6, cell: ({ rows }) => `${rows}` },
  { heading: 'threads', width: 9, cell: ({ threads }) => `${threads}` },
  { heading: 'GMAC/s', width: 10, cell: (row) => formatFixed(row.gmacs_per_s, 1) },
  { heading: 'of dots', width: 9, cell: (row) => formatPercent(row.share_of_dots) },
  { heading: 'GB/s', width: 9, cell: (row) => formatFixed(row.gbytes_per_s, 1) },
  { heading: 'of reading', width: 12, cell: (row) => formatPercent(row.share_of_reading) },
];

/**
 * Measures the kernels of attention and of matmuls alone, with the model's shapes, on one thread and on all, beside what the machine can
 * do at most; a row as soon as it is known.
 *
 * @throws KvantError INVALID_OPTION for the reference backend, and as loading a model does
 */
export async function benchKernels(request: KernelRequest, session: BenchSession): Promise<KernelSection> {
  const { options } = request;
  const { kv = BENCH_DEFAULTS.kv, ctx = BENCH_DEFAULTS.ctx, runs = BENCH_DEFAULTS.runs, batch = 1 } = options;
  const backend = await chooseBackend(options.backend);
  if (backend === 'reference') {
    throw new KvantError('INVALID_OPTION', '--backend reference: only wasm and webgpu kernels are measured alone');
  }
  const ceilings: CeilingRow[] = [];
  const kernels: KernelRow[] = [];
  // A GPU's threads are its own.
  const allThreads = backend.startsWith('wasm') ? [...new Set([1, availableParallelism()])] : [1];
  const threads = options.threads ? [options.threads] : allThreads;
  const modelPath = options.model ?? embeddedModelPath();
  const bench = await KernelBench.open(
    { modelPath, threads, backend, budgetMs: runs * BUDGET_MS, batch, signal: session.signal },
    {
      onMeasure: (what) => session.progress(() => `measuring ${what}`),
      onCeiling: async (row) => {
        if (ceilings.length === 0) await session.print(`${bench.modelName} · ${row.isa}\n${headingLine(COLUMNS)}`);
        ceilings.push(row);
        await session.print(ceilingLine(row));
      },
      onRow: async (row) => {
        kernels.push(row);
        await session.print(rowLine(COLUMNS, row));
      },
    },
  );
  try {
    if (request.attention) await bench.attention(kv, ctx);
    if (request.matmul) await bench.matmuls();
  } finally {
    await bench.close();
  }
  return { model: bench.modelName, ceilings, kernels };
}

function ceilingLine({ threads, gmacs_per_s, gbytes_per_s }: CeilingRow): string {
  const rates = `${formatFixed(gmacs_per_s, 1)} GMAC/s of dot products, ${formatFixed(gbytes_per_s, 1)} GB/s of reading`;
  return `  this machine at most, ${formatQuantity(threads, 'thread')}: ${rates}\n`;
}

function formatPercent(share: number): string {
  return `${formatFixed(100 * share, 0)}%`;
}
