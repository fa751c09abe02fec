import { SAMPLING_DEFAULTS } from '../engine/options.ts';
import { type EnginePlatform, type LoadedEngine } from '../engine/load-engine.ts';
import type { Activations } from '../kernels/kernels.ts';
import { agreesOnTop1, klDivergence } from './kld.ts';

/** Opens an engine of one KV format on the given platform; every engine of a comparison has the same weights. */
export type OpenEngine = (kv: string, platform: EnginePlatform) => Promise<LoadedEngine>;

export interface KvLossOptions {
  readonly kv: string;
  readonly windows: readonly (readonly number[])[];
  readonly activations: Activations;
  readonly platform: EnginePlatform;
  readonly onWindow?: (done: number) => void;
}

export interface KvLoss {
  /** KL divergence at each position, from the f16 cache to the other. */
  readonly divergences: readonly number[];
  /** Share of positions whose likeliest token is the same. */
  readonly top1Agreement: number;
  /** Perplexity over the positions: e to the mean negative log-probability of the token that follows. */
  readonly perplexityF16: number;
  readonly perplexity: number;
}

/** Rows that the faster engine may be ahead. */
const MAX_AHEAD = 256;

/**
 * What a KV format loses against the f16 cache: both run over the same windows at the same time, on the running cache (every token attends
 * to sealed pages, errors compound), and are compared at each position from the middle of the window on, the last one left out, as
 * llama.cpp's perplexity tool does.
 */
export async function measureKvLoss(openEngine: OpenEngine, options: KvLossOptions): Promise<KvLoss> {
  const pairing = new Pairing();
  const engines = await Promise.all(
    (['f16', options.kv] as const).map((kv, side) => openEngine(kv, gatedPlatform(options, pairing, side as Side))),
  );
  try {
    for (const [index, window] of options.windows.entries()) {
      pairing.begin(window);
      await Promise.all(engines.map(({ engine }, side) => runWindow(engine, window, pairing, side as Side)));
      options.onWindow?.(index + 1);
    }
    return pairing.summary();
  } finally {
    await Promise.all(engines.map(({ engine }) => engine.close()));
    await Promise.all(engines.map(({ kernels }) => kernels.close()));
  }
}

type Side = 0 | 1;

/** An engine waits between its steps while it is too far ahead of the other. */
function gatedPlatform({ platform, activations }: KvLossOptions, pairing: Pairing, side: Side): EnginePlatform {
  return {
    ...platform,
    createKernels: (backend, config) => platform.createKernels(backend, { ...config, activations }),
    async yieldToEvents() {
      do await platform.yieldToEvents();
      while (pairing.isTooFarAhead(side));
    },
  };
}

async function runWindow(
  engine: LoadedEngine['engine'],
  window: readonly number[],
  pairing: Pairing,
  side: Side,
): Promise<void> {
  const middle = Math.floor(window.length / 2);
  const request = {
    promptTokens: window,
    sampling: { ...SAMPLING_DEFAULTS, seed: 0 },
    maxTokens: 0,
    stop: [],
    logProbsAt: Array.from({ length: window.length - 1 - middle }, (_, i) => middle + i),
    conversation: undefined,
  };
  const { result } = engine.submit(request, {
    onChunk: () => undefined,
    onPrefillProgress: () => undefined,
    onLogProbs: (position, logProbs) => pairing.add(side, position, logProbs),
  });
  await result;
}

/** Rows of two engines, put together by position and compared as soon as both are there. */
class Pairing {
  readonly #divergences: number[] = [];
  readonly #waiting: readonly [Map<number, Float32Array>, Map<number, Float32Array>] = [new Map(), new Map()];
  #window: readonly number[] = [];
  #agreements = 0;
  #logProbsF16 = 0;
  #logProbs = 0;

  begin(window: readonly number[]): void {
    this.#window = window;
  }

  isTooFarAhead(side: Side): boolean {
    return this.#waiting[side].size > MAX_AHEAD;
  }

  add(side: Side, position: number, row: Float32Array): void {
    const others = this.#waiting[side === 0 ? 1 : 0];
    const other = others.get(position);
    if (!other) {
      this.#waiting[side].set(position, row);
      return;
    }
    others.delete(position);
    if (side === 0) this.#compare(position, row, other);
    else this.#compare(position, other, row);
  }

  #compare(position: number, f16: Float32Array, other: Float32Array): void {
    this.#divergences.push(klDivergence(f16, other));
    if (agreesOnTop1(f16, other)) this.#agreements += 1;
    const next = this.#window[position + 1];
    this.#logProbsF16 += f16[next];
    this.#logProbs += other[next];
  }

  summary(): KvLoss {
    const count = this.#divergences.length;
    return {
      divergences: this.#divergences,
      top1Agreement: this.#agreements / count,
      perplexityF16: Math.exp(-this.#logProbsF16 / count),
      perplexity: Math.exp(-this.#logProbs / count),
    };
  }
}
