import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Kernels, KernelsConfig } from '../kernels/kernels.ts';
import type { ModelFile } from '../model/model-file.ts';
import { openModel } from '../model/open-model-node.ts';
import { parseKvFormat } from '../quant/kv-format.ts';
import { AttentionDriver, type QueryRows } from './attention-driver.ts';
import { benchMachine, type BenchMachine, type MeasuredBackend, type MeasuredKernels } from './bench-machine-node.ts';
import type { Ceilings } from './ceilings.ts';
import { fastestMs, type KernelWork, type TimingOptions } from './kernel-work.ts';
import { MatmulDriver } from './matmul-driver.ts';

/** A segment that holds the sink tokens and page 0. */
const MAX_ROWS = 68;
const PREFILL_ROWS = 64;
/** Attentions in a step at least, so that starting the step counts for little. */
const MIN_ATTENTIONS = 64;
/** Of an H200 at rest. */
const GPU_WARM_UP_MS = 3000;
/** Products that are timed together on a GPU. */
const MIN_PRODUCTS = 256;

export interface KernelBenchOptions {
  readonly modelPath: string;
  readonly backend: MeasuredBackend;
  /** Each is measured on its own. */
  readonly threads: readonly number[];
  readonly budgetMs: number;
  /** Sequences that are decoded together, too; 1: none are. */
  readonly batch: number;
  readonly signal: AbortSignal;
}

/** A kernel's speed, as `--json` prints it. */
export interface KernelRow {
  /** `attention` or `matmul`. */
  readonly kernel: 'attention' | 'matmul';
  /** The format of the cache and how many sequences, or which matrices of what type. */
  readonly what: string;
  readonly threads: number;
  /** Build of the kernels. */
  readonly isa: string;
  /** Queries, or rows of the input. */
  readonly rows: number;
  /** Tokens that the last query sees; null for matmuls. */
  readonly ctx: number | null;
  readonly gmacs_per_s: number;
  readonly gbytes_per_s: number;
  /** Shares of what the machine can do at most on so many threads. */
  readonly share_of_dots: number;
  readonly share_of_reading: number;
}

/** What the machine can do at most, as `--json` prints it. */
export interface CeilingRow {
  readonly threads: number;
  readonly isa: string;
  readonly gmacs_per_s: number;
  readonly gbytes_per_s: number;
}

/** Told as they are known: the ceilings of a number of threads before its kernels. */
export interface KernelBenchEvents {
  readonly onCeiling: (row: CeilingRow) => Promise<void>;
  readonly onRow: (row: KernelRow) => Promise<void>;
  readonly onMeasure: (what: string) => void;
}

/** Measures kernels alone, in the calling thread and the kernel threads, with the shapes of a model. */
export class KernelBench {
  readonly #model: ModelFile;
  readonly #options: KernelBenchOptions;
  readonly #events: KernelBenchEvents;
  readonly #timing: TimingOptions;
  readonly #machine: BenchMachine;
  readonly #ceilings = new Map<number, Ceilings>();

  private constructor(model: ModelFile, options: KernelBenchOptions, events: KernelBenchEvents) {
    const { budgetMs, signal } = options;
    this.#model = model;
    this.#machine = benchMachine(options.backend);
    this.#options = options;
    this.#events = events;
    this.#timing = { budgetMs, signal, now: () => performance.now(), yieldToEvents: () => nextTurn() };
  }

  /** @throws KvantError as opening a model does */
  static async open(options: KernelBenchOptions, events: KernelBenchEvents): Promise<KernelBench> {
    return new KernelBench(await openModel(options.modelPath), options, events);
  }

  get modelName(): string {
    return this.#model.name;
  }

  /**
   * Attention for every format and length, over the caches of all layers in turn, so that they come from where they would come from.
   *
   * @throws the signal's reason, KvantError OUT_OF_MEMORY, BACKEND_UNAVAILABLE
   */
  async attention(kvFormats: readonly string[], lengths: readonly number[]): Promise<void> {
    const numTokens = Math.max(...lengths);
    for (const threads of this.#options.threads) {
      for (const kv of kvFormats) {
        await this.#withKernels(threads, kv, numTokens, async (measured) => {
          this.#events.onMeasure(`${kv} pages`);
          const { batch } = this.#options;
          const driver = await AttentionDriver.create(measured.kernels, numTokens, batch);
          await this.#warmUp(measured, () => driver.attend(driver.decodeRow(numTokens), MIN_ATTENTIONS));
          for (const ctx of lengths) {
            const batches = batch > 1 ? [driver.batchRows(ctx)] : [];
            for (const rows of [driver.decodeRow(ctx), ...batches, driver.prefillRows(ctx)]) {
              await this.#attention(measured, driver, rows);
            }
          }
        });
      }
    }
  }

  /** The model's matmuls, of one row, of those of a batch, and of a page. @throws as `attention` does */
  async matmuls(): Promise<void> {
    for (const threads of this.#options.threads) {
      await this.#withKernels(threads, 'q4', MAX_ROWS, async (measured) => {
        const { kernels, deviceMs } = measured;
        this.#events.onMeasure('matmuls');
        const driver = await MatmulDriver.load(kernels, this.#model, this.#options.signal);
        const [largest] = driver.groups.toSorted((a, b) => b.weightBytes - a.weightBytes);
        await this.#warmUp(measured, () => driver.run(largest, PREFILL_ROWS, 1));
        const numsRows = new Set([1, this.#options.batch, PREFILL_ROWS]);
        for (const group of driver.groups) {
          for (const rows of numsRows) {
            this.#events.onMeasure(`${group.name}, ${rows} rows`);
            // A GPU tells the time in steps of 65 us.
            const numTimes = kernels.description.name === 'webgpu' ? Math.ceil(MIN_PRODUCTS / group.calls.length) : 1;
            const run = async (): Promise<number | undefined> => {
              await driver.run(group, rows, numTimes);
              return deviceMs();
            };
            const ms = (await fastestMs(run, this.#timing)) / numTimes;
            const row = { kernel: 'matmul', what: `${group.name} ${group.description}`, rows, ctx: null } as const;
            await this.#report(kernels, row, driver.work(group, rows), ms);
          }
        }
      });
    }
  }

  async close(): Promise<void> {
    await this.#model.file.close();
  }

  /** Keeps a GPU busy until its clock has risen: measured before, a kernel may take three times as long. */
  async #warmUp({ kernels, deviceMs }: MeasuredKernels, work: () => Promise<void>): Promise<void> {
    if (!kernels.compilesOnUse) return;
    await fastestMs(() => work().then(deviceMs), { ...this.#timing, budgetMs: GPU_WARM_UP_MS });
  }

  async #attention({ kernels, deviceMs }: MeasuredKernels, driver: AttentionDriver, rows: QueryRows): Promise<void> {
    const { shape, format } = kernels.config;
    const ctx = rows.firstPosition + rows.numRows;
    this.#events.onMeasure(`attention ${format.name} at ${ctx} tokens`);
    const numTimes = Math.ceil(MIN_ATTENTIONS / shape.numLayers) * shape.numLayers;
    const run = async (): Promise<number | undefined> => {
      await driver.attend(rows, numTimes);
      return deviceMs();
    };
    const ms = await fastestMs(run, this.#timing);
    const what = rows.numSequences > 1 ? `${format.name}, ${rows.numSequences} sequences` : format.name;
    const row = { kernel: 'attention', what, rows: rows.numRows * rows.numSequences, ctx } as const;
    await this.#report(kernels, row, driver.work(rows), ms / numTimes);
  }

  async #report(
    { description: { threads, isa } }: Kernels,
    row: Pick<KernelRow, 'kernel' | 'what' | 'rows' | 'ctx'>,
    { macs, bytes }: KernelWork,
    ms: number,
  ): Promise<void> {
    const { macsPerSecond, bytesPerSecond } = await this.#ceiling(threads, isa);
    const [macRate, byteRate] = [macs, bytes].map((amount) => (1000 * amount) / ms);
    await this.#events.onRow({
      ...row,
      threads,
      isa,
      gmacs_per_s: macRate / 1e9,
      gbytes_per_s: byteRate / 1e9,
      share_of_dots: macRate / macsPerSecond,
      share_of_reading: byteRate / bytesPerSecond,
    });
  }

  async #ceiling(threads: number, isa: string): Promise<Ceilings> {
    let ceiling = this.#ceilings.get(threads);
    if (!ceiling) {
      this.#events.onMeasure('what the machine can do');
      ceiling = await this.#machine.measureCeilings(threads, isa);
      this.#ceilings.set(threads, ceiling);
      const { macsPerSecond, bytesPerSecond } = ceiling;
      const rates = { gmacs_per_s: macsPerSecond / 1e9, gbytes_per_s: bytesPerSecond / 1e9 };
      await this.#events.onCeiling({ threads, isa, ...rates });
    }
    return ceiling;
  }

  async #withKernels(
    numThreads: number,
    kv: string,
    maxContext: number,
    use: (measured: MeasuredKernels) => Promise<void>,
  ): Promise<void> {
    const { hyperparameters, ropeFrequencies } = this.#model;
    const config: KernelsConfig = {
      shape: hyperparameters,
      numHeads: hyperparameters.numHeads,
      format: parseKvFormat(kv, hyperparameters.headDim),
      ropeFrequencies,
      maxRows: MAX_ROWS,
      maxContext,
      numThreads,
    };
    const measured = await this.#machine.createKernels(config);
    const { kernels } = measured;
    try {
      // Before anything of theirs is measured, while they sleep.
      await this.#ceiling(numThreads, kernels.description.isa);
      await use(measured);
    } finally {
      await kernels.close();
    }
  }
}
