import { DEFAULT_KV_FORMAT } from '../engine/options.ts';
import { openPlanner, type Planner } from '../engine/plan-node.ts';
import type { PlanOptions } from '../engine/types.ts';
import type { ServeOptions } from './serve-options.ts';

/** Few requests fill their context: so many share room for this many whole ones. */
const WHOLE_CONTEXTS = 4;

/** Format and size of a server's KV cache. */
export interface ServedKv {
  readonly kv?: string;
  readonly kvMemory?: number;
}

/** Plans of the model that is going to be served. @throws KvantError as `openPlanner` */
export function openServedPlanner(options: ServeOptions): Promise<Planner> {
  return openPlanner(plannedOptions(options));
}

/**
 * The size of the KV cache: as it was asked for, else room for a few whole contexts, fewer where that does not fit. With `auto`, the format is
 * chosen for that many.
 *
 * @param planner of the same options
 * @throws KvantError as `openPlanner`
 */
export async function servedKvMemory(options: ServeOptions, planner: Planner): Promise<ServedKv> {
  const { kv = DEFAULT_KV_FORMAT, kvMemory, maxSequences = 1 } = options;
  if (kvMemory !== undefined) return { kv, kvMemory };
  const compared = planner.plan({}).formats.some((format) => format.kv === kv) || kv === 'auto';
  // Formats without a row of their own, such as k8v4, need a plan of their own.
  const chosen = compared ? planner : await openPlanner({ ...plannedOptions(options), kv: [kv] });
  for (let contexts = Math.min(WHOLE_CONTEXTS, maxSequences); contexts >= 1; contexts--) {
    const { formats, choice } = chosen.plan({ maxSequences: contexts });
    const format = formats.find((each) => each.kv === (kv === 'auto' ? choice?.kv : kv));
    if (format?.fits) return { kv: format.kv, kvMemory: format.memory.pageBytes };
  }
  // Nothing fits: loading tells what would.
  return { kv };
}

function plannedOptions(options: ServeOptions): PlanOptions {
  const { model, calibration, ctx, threads, backend, memory, draftModel } = options;
  const given = Object.entries({ model, calibration, ctx, threads, backend, memory, draftModel });
  return Object.fromEntries(given.filter(([, value]) => value !== undefined));
}
