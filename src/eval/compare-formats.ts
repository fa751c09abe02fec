import type { MemoryUsage } from '../kernels/kernels.ts';
import type { ModelInfo } from '../engine/types.ts';
import { checkLogProb, type EvalSetup } from './eval-engine.ts';
import { FidelityMeter, type Fidelity } from './fidelity.ts';
import { SideBySide } from './side-by-side.ts';

/** The cache that others are compared with. */
export const REFERENCE_KV = 'f16';

/** What a format loses against f16. */
export interface FormatFidelity extends Fidelity {
  readonly kv: string;
  readonly bitsPerElement: number;
}

export interface CompareEvents {
  /** What is loaded now, or how far the windows are. */
  readonly onProgress: (text: () => string) => void;
  /** Once, before anything is measured. */
  readonly onLoaded: (info: ModelInfo) => Promise<void>;
  /** As soon as a format is known. */
  readonly onResult: (result: FormatFidelity) => Promise<void>;
}

/** Engines that run side by side, the reference not counted: each holds the weights. */
const MOST_SIDE_BY_SIDE = 8;
/** Of the memory that is free when the first engine has been loaded: rows of a step and much else need some, too. */
const MEMORY_SHARE = 0.7;

/**
 * Compares formats with the f16 cache over windows of a text, on the running cache: every token attends to sealed pages, and errors
 * compound. The reference runs once for all formats, as far as memory holds them side by side, else once for each group of them.
 *
 * @param kvFormats `f16` among them is a second engine, compared like any other
 * @throws KvantError as loading does, ENGINE_FAILED; the signal's reason if it aborts
 */
export async function compareFormats(
  kvFormats: readonly string[],
  windows: readonly (readonly number[])[],
  setup: EvalSetup,
  events: CompareEvents,
): Promise<void> {
  for (let done = 0; done < kvFormats.length;) {
    const engines = new SideBySide(setup);
    try {
      events.onProgress(() => `loading ${REFERENCE_KV}`);
      const { info } = await engines.add(REFERENCE_KV);
      if (done === 0) await events.onLoaded(info);
      const group = kvFormats.slice(done, done + numThatFit(info.memory, setup));
      for (const kv of group) {
        events.onProgress(() => `loading ${kv}`);
        await engines.add(kv);
      }
      await compareGroup(engines, windows, events);
      done += group.length;
    } finally {
      await engines.close();
    }
  }
}

async function compareGroup(
  sideBySide: SideBySide,
  windows: readonly (readonly number[])[],
  events: CompareEvents,
): Promise<void> {
  const [, ...candidates] = sideBySide.engines;
  const meters = candidates.map(() => new FidelityMeter());
  for (const [index, window] of windows.entries()) {
    let last = 0;
    events.onProgress(() => `window ${index + 1} of ${windows.length}, token ${last} of ${window.length}`);
    await sideBySide.run(window, (position, [reference, ...rows]) => {
      last = position;
      rows.forEach((row, i) => {
        checkLogProb(meters[i].add(reference, row, window[position + 1]), candidates[i].kv, position);
      });
    });
  }
  for (const [i, { kv, bitsPerElement }] of candidates.entries()) {
    await events.onResult({ kv, bitsPerElement, ...meters[i].result() });
  }
}

/** Formats that can run at a time: at least one, as nothing can be compared with less. */
function numThatFit({ weightBytes, pageBytes, scratchBytes }: MemoryUsage, { platform, load }: EvalSetup): number {
  const free = Math.min(...platform.memoryLimits(load.backend).map(({ bytes }) => bytes));
  const most = Math.floor((MEMORY_SHARE * free) / (weightBytes + pageBytes + scratchBytes));
  return Math.max(1, Math.min(MOST_SIDE_BY_SIDE, most));
}
