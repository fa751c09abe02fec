import type { ModelInfo } from '../engine/types.ts';
import { REFERENCE_KV } from './compare-formats.ts';
import { checkLogProb, EvalEngine, type EvalSetup } from './eval-engine.ts';
import { measuredPositions } from './windows.ts';

/** How well a model with a format of the cache predicts a text. */
export interface FormatPerplexity {
  readonly kv: string;
  readonly bitsPerElement: number;
  readonly numPositions: number;
  /** e to the mean negative log-probability of the token that follows. */
  readonly perplexity: number;
  /** By that of the f16 cache. */
  readonly ratio: number;
}

export interface PerplexityEvents {
  readonly onProgress: (text: () => string) => void;
  /** Once, before anything is measured. */
  readonly onLoaded: (info: ModelInfo) => Promise<void>;
  readonly onResult: (result: FormatPerplexity) => Promise<void>;
}

/**
 * Perplexity of each format over windows of a text, one engine after the other; f16 comes first, whether it is asked for or not.
 *
 * @throws KvantError as loading does, ENGINE_FAILED; the signal's reason if it aborts
 */
export async function measurePerplexity(
  kvFormats: readonly string[],
  windows: readonly (readonly number[])[],
  setup: EvalSetup,
  events: PerplexityEvents,
): Promise<void> {
  let reference: number | undefined;
  for (const kv of [REFERENCE_KV, ...kvFormats.filter((name) => name !== REFERENCE_KV)]) {
    events.onProgress(() => `loading ${kv}`);
    const engine = await EvalEngine.open(kv, setup);
    try {
      if (reference === undefined) await events.onLoaded(engine.info);
      const meanLogProb = await meanLogProbOf(engine, windows, events);
      reference ??= meanLogProb;
      await events.onResult({
        kv: engine.kv,
        bitsPerElement: engine.bitsPerElement,
        numPositions: numMeasured(windows),
        perplexity: Math.exp(-meanLogProb),
        ratio: Math.exp(reference - meanLogProb),
      });
    } finally {
      await engine.close();
    }
  }
}

/** Positions that are measured in all windows. */
export function numMeasured(windows: readonly (readonly number[])[]): number {
  return windows.reduce((sum, { length }) => sum + measuredPositions(length).length, 0);
}

async function meanLogProbOf(
  engine: EvalEngine,
  windows: readonly (readonly number[])[],
  { onProgress }: PerplexityEvents,
): Promise<number> {
  let sum = 0;
  for (const [index, window] of windows.entries()) {
    let last = 0;
    onProgress(() => `${engine.kv}: window ${index + 1} of ${windows.length}, token ${last} of ${window.length}`);
    const positions = measuredPositions(window.length);
    await engine.run({
      tokens: window,
      positions,
      onRow(position, row) {
        last = position;
        sum += checkLogProb(row[window[position + 1]], engine.kv, position);
      },
    });
  }
  return sum / numMeasured(windows);
}
