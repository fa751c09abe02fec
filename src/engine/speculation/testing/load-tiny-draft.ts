import { openModel } from '../../../model/open-model-node.ts';
import { loadEngine, type LoadedEngine, type LoadEngineOptions } from '../../load-engine.ts';
import { nodePlatform } from '../../platform-node.ts';
import { wallClockMs } from '../../wall-clock.ts';

const FOLDER = new URL('../../../../test/models/tiny/', import.meta.url).pathname;

export function openTiny(name: string) {
  return openModel(`${FOLDER}${name}.gguf`);
}

/** One of the tiny models, with another of them to draft for it. */
export async function loadTinyWithDraft(
  target: string,
  draft: string,
  options: Partial<LoadEngineOptions> = {},
): Promise<LoadedEngine> {
  const defaults = { kv: 'q4', ctx: 1024, threads: 1, backend: 'wasm', maxSequences: 2 } as const;
  const loaded = { ...defaults, requestedAtMs: wallClockMs(), ...options, draft: await openTiny(draft) };
  return loadEngine(await openTiny(target), loaded, nodePlatform);
}
