import { bitsPerElement, sealedPageLayout } from '../cache/page-layout.ts';
import { SAMPLING_DEFAULTS } from '../engine/defaults.ts';
import { loadEngine, type EnginePlatform, type LoadedEngine } from '../engine/load-engine.ts';
import type { EngineLoadOptions } from '../engine/protocol.ts';
import type { EngineRequest, RequestEvents } from '../engine/request.ts';
import type { GenerateResult, ModelInfo } from '../engine/types.ts';
import { wallClockMs } from '../engine/wall-clock.ts';
import { KvantError } from '../errors.ts';
import type { Activations } from '../kernels/kernels.ts';
import type { ModelFile } from '../model/model-file.ts';
import { runRequest } from './run-request.ts';

/** What all engines of an evaluation share. Only the format of the cache differs between them. */
export interface EvalSetup {
  /** As for any engine; `kv` is replaced by the format that is measured. */
  readonly load: EngineLoadOptions;
  readonly activations: Activations;
  readonly openModel: (path: string) => Promise<ModelFile>;
  readonly platform: EnginePlatform;
  /** Ends requests before their next step; they throw its reason. */
  readonly signal: AbortSignal;
  /** Path of a file that may be written, for what is measured with files. */
  readonly scratchFile?: string;
}

/** Takes the log-probabilities of a position, [vocabulary], its own. */
export type OnRow = (position: number, logProbs: Float32Array) => void;

export interface EvalRequest {
  readonly tokens: readonly number[];
  /** Positions whose log-probabilities are wanted, ascending. */
  readonly positions?: readonly number[];
  readonly onRow?: OnRow;
  /** Tokens to generate, greedily; default 0. */
  readonly maxTokens?: number;
  /** Whether the prompt's pages are kept for the next request, which then computes only what is new. */
  readonly keepsPages?: boolean;
}

const CONVERSATION = 0;

/** An engine with one format of the cache, to be measured on the running cache. */
export class EvalEngine {
  readonly #loaded: LoadedEngine;
  readonly #signal: AbortSignal;

  private constructor(loaded: LoadedEngine, signal: AbortSignal) {
    this.#loaded = loaded;
    this.#signal = signal;
  }

  /**
   * Loads the model.
   *
   * @param waits asked before each step; while it is true, the engine does nothing
   * @throws KvantError as `loadEngine` does; the signal's reason if it has aborted
   */
  static async open(kv: string, setup: EvalSetup, waits: () => boolean = () => false): Promise<EvalEngine> {
    const { activations, platform, signal, load } = setup;
    signal.throwIfAborted();
    const evalPlatform: EnginePlatform = {
      ...platform,
      createKernels: (backend, config) => platform.createKernels(backend, { ...config, activations }),
      async yieldToEvents() {
        do await platform.yieldToEvents();
        while (waits() && !signal.aborted);
      },
    };
    const options = { ...load, kv, maxSequences: 1, requestedAtMs: wallClockMs() };
    return new EvalEngine(await loadEngine(await setup.openModel(load.modelPath), options, evalPlatform), signal);
  }

  get info(): ModelInfo {
    return this.#loaded.info;
  }

  /** The format, as it calls itself. */
  get kv(): string {
    return this.info.kvFormat;
  }

  /** Of a sealed page, metadata counted. */
  get bitsPerElement(): number {
    const { format, shape } = this.#loaded.kernels.config;
    return bitsPerElement(sealedPageLayout(format, shape));
  }

  get encoder(): Pick<LoadedEngine, 'tokenizer' | 'chatTemplate'> {
    return this.#loaded;
  }

  /**
   * Runs a prompt, alone.
   *
   * @throws KvantError PROMPT_TOO_LONG, INVALID_OPTION, ENGINE_FAILED; the signal's reason if it aborts
   */
  async run({
    tokens,
    positions = [],
    onRow,
    maxTokens = 0,
    keepsPages = false,
  }: EvalRequest): Promise<GenerateResult> {
    const signal = this.#signal;
    const request: EngineRequest = {
      promptTokens: tokens,
      sampling: { ...SAMPLING_DEFAULTS, seed: 0 },
      maxTokens,
      stop: [],
      logProbsAt: positions,
      conversation: keepsPages ? CONVERSATION : undefined,
    };
    let numRows = 0;
    const events: RequestEvents = {
      onChunk: () => undefined,
      onPrefillProgress: () => undefined,
      onLogProbs(position, logProbs) {
        numRows += 1;
        onRow?.(position, logProbs);
      },
    };
    const finished = await runRequest(this.#loaded.engine, request, events, signal);
    // Positions that the cache has already are not computed again: whoever asks for them has made a mistake.
    if (numRows !== positions.length) throw new RangeError(`${numRows} of ${positions.length} rows were computed`);
    return finished;
  }

  async close(): Promise<void> {
    await this.#loaded.engine.close();
    await this.#loaded.kernels.close();
  }
}

/** @throws KvantError ENGINE_FAILED if a log-probability is no number, as when logits overflow */
export function checkLogProb(logProb: number, kv: string, position: number): number {
  if (!Number.isNaN(logProb)) return logProb;
  const message = `the model gives no probabilities at position ${position} with ${kv}: its logits are not all numbers`;
  throw new KvantError('ENGINE_FAILED', message);
}
