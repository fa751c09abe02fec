import type { PageStore } from '../../cache/page-store.ts';
import type { Engine } from '../../engine/engine.ts';
import {
  loadEngine,
  type EnginePlatform,
  type LoadedEngine,
  type LoadEngineOptions,
} from '../../engine/load-engine.ts';
import { loadSession } from '../../engine/load-session.ts';
import type { EngineRequest, RequestEvents } from '../../engine/request.ts';
import { saveSession } from '../../engine/save-session.ts';
import type { LoadedSession } from '../../engine/session-types.ts';
import type { GenerateResult, ModelInfo } from '../../engine/types.ts';
import { wallClockMs } from '../../engine/wall-clock.ts';
import type { KernelsConfig } from '../../kernels/kernels.ts';
import type { KvFormat } from '../../quant/kv-format.ts';
import type { EvalSetup } from '../eval-engine.ts';
import { runRequest } from '../run-request.ts';
import { GREEDY } from './exact-text.ts';

/** What a condition asks of its engine; all else is the setup's. */
export type ExactEngineOptions = Partial<Omit<LoadEngineOptions, 'requestedAtMs' | 'onProgress' | 'prefillChunk'>> & {
  readonly kv: string;
  readonly prefillChunk?: number | undefined;
};

export type ExactRequest = Partial<EngineRequest> & Pick<EngineRequest, 'promptTokens'>;

/** An engine whose runs are to be compared. */
export class ExactEngine {
  readonly #loaded: LoadedEngine;
  readonly #setup: EvalSetup;
  readonly #tier: SecondTier;

  private constructor(loaded: LoadedEngine, setup: EvalSetup, tier: SecondTier) {
    this.#loaded = loaded;
    this.#setup = setup;
    this.#tier = tier;
  }

  /** Loads the model. @throws KvantError as `loadEngine` does; the signal's reason if it has aborted */
  static async open(options: ExactEngineOptions, setup: EvalSetup): Promise<ExactEngine> {
    const { activations, platform, signal, load } = setup;
    signal.throwIfAborted();
    const tier = new SecondTier();
    const exactPlatform: EnginePlatform = {
      ...platform,
      createKernels: (backend, config) => platform.createKernels(backend, { ...config, activations }),
      createPageStore: (swap) => tier.watch(platform.createPageStore(swap)),
    };
    const { prefillChunk, ...changes } = options;
    const chunk = prefillChunk === undefined ? {} : { prefillChunk };
    const all = { ...load, ...changes, ...chunk, requestedAtMs: wallClockMs() };
    return new ExactEngine(await loadEngine(await setup.openModel(load.modelPath), all, exactPlatform), setup, tier);
  }

  get engine(): Engine {
    return this.#loaded.engine;
  }

  get info(): ModelInfo {
    return this.#loaded.info;
  }

  /** With the format that the engine was loaded with. */
  get config(): KernelsConfig {
    return this.#loaded.kernels.config;
  }

  /** Pages that came back from the second tier. */
  get numRestored(): number {
    return this.#tier.numRestored;
  }

  /** A format for requests. @throws KvantError as `KvFormats` does */
  formatNamed(name: string): Promise<KvFormat> {
    return this.#loaded.formats.get(name);
  }

  /**
   * Runs a request; greedily, and without tokens to generate, unless it says otherwise.
   *
   * @param stop ends it beside the evaluation's own signal
   * @throws KvantError as the engine does; the reason of the signal that ended it
   */
  run(request: ExactRequest, events: Partial<RequestEvents> = {}, stop?: AbortSignal): Promise<GenerateResult> {
    const { signal } = this.#setup;
    const whole: EngineRequest = {
      ...{ sampling: GREEDY, maxTokens: 0, stop: [], logProbsAt: [], conversation: undefined, speculate: 'off' },
      ...request,
    };
    const noEvents = { onChunk: nothing, onLogProbs: nothing, onPrefillProgress: nothing };
    const either = stop ? AbortSignal.any([signal, stop]) : signal;
    return runRequest(this.engine, whole, { ...noEvents, ...events }, either);
  }

  /** Writes a file of what the cache has of these tokens. @throws KvantError as `saveSession` */
  async save(path: string, tokens: readonly number[]): Promise<void> {
    await saveSession(this.#loaded, { path, tokens });
  }

  /** Reads a file into the cache. @throws KvantError as `loadSession` */
  load(path: string): Promise<LoadedSession> {
    return loadSession(this.#loaded, { path });
  }

  /** Lets every page of the prefix tree go that no sequence and no conversation uses. */
  clearTree(): Promise<void> {
    return this.engine.betweenSteps(({ tree }) => tree.clear());
  }

  /** @throws PageIntegrityError if pages were lost, or let go too early */
  checkPages(): void {
    this.engine.checkPages();
  }

  async close(): Promise<void> {
    await this.engine.close();
    await this.#loaded.kernels.close();
  }
}

/** Counts what comes back of a store of pages. */
class SecondTier {
  numRestored = 0;

  watch(store: PageStore): PageStore {
    return {
      get numPages() {
        return store.numPages;
      },
      get numBytes() {
        return store.numBytes;
      },
      has: (page) => store.has(page),
      put: (page) => store.put(page),
      get: (page) => {
        const stored = store.get(page);
        if (stored) this.numRestored++;
        return stored;
      },
      close: () => store.close(),
    };
  }
}

function nothing(): void {}
