import { DEFAULT_KV_FORMAT } from '../engine/options.ts';
import { plan } from '../engine/plan-node.ts';
import type { ServeOptions } from './serve-options.ts';

/** Few requests fill their context: so many share room for this many whole ones. */
const WHOLE_CONTEXTS = 4;

/**
 * The size of the KV cache of a server: as it was asked for, else room for a few whole contexts, fewer where that does not fit. With `auto`, the
 * format is chosen for that many.
 *
 * @param options `maxSequences` filled in
 * @throws KvantError what `plan` throws
 */
export async function servedKvMemory(
  options: ServeOptions,
): Promise<{ readonly kv?: string; readonly kvMemory?: number }> {
  const { kv, kvMemory, maxSequences = 1 } = options;
  const asked = { ...(kv !== undefined && { kv }) };
  if (kvMemory !== undefined) return { ...asked, kvMemory };
  for (let contexts = Math.min(WHOLE_CONTEXTS, maxSequences); contexts >= 1; contexts--) {
    const made = await plan({ ...planned(options), maxSequences: contexts, ...formatsOf(kv) });
    const chosen = made.formats.find((format) => format.kv === made.choice?.kv);
    if (chosen) return { kv: chosen.kv, kvMemory: chosen.memory.pageBytes };
  }
  // Nothing fits: loading tells what would.
  return asked;
}

function formatsOf(kv: string = DEFAULT_KV_FORMAT): { readonly kv?: readonly string[] } {
  return kv === 'auto' ? {} : { kv: [kv] };
}

function planned({ model, calibration, ctx, threads, backend, memory, draftModel }: ServeOptions) {
  const given = Object.entries({ model, calibration, ctx, threads, backend, memory, draftModel });
  return Object.fromEntries(given.filter(([, value]) => value !== undefined)) as Parameters<typeof plan>[0];
}
