import { resolveKvFormat } from '../calibration/calibration.ts';
import { AUTO_KV_FORMATS, type KvFormat } from '../quant/kv-format.ts';
import { lossOf } from './format-loss.ts';
import { size } from './memory-advice.ts';
import {
  addUpMemory,
  brokenLimit,
  bytesUnder,
  type MemoryDemand,
  type MemoryLimit,
  type MemoryPlan,
} from './memory-plan.ts';

/** A format that was chosen by what fits. */
export interface FormatChoice {
  readonly format: KvFormat;
  readonly fits: boolean;
  /** One clause: what it needs of what there is, what finer ones would have needed, and what it costs. */
  readonly reason: string;
}

/**
 * The finest of several formats that fits, or the last of them where none does.
 *
 * @param names the finest first, at least one
 * @param demand with any format
 * @throws KvantError INVALID_OPTION for a name that is no format
 */
export function chooseFormat(
  demand: MemoryDemand,
  limits: readonly MemoryLimit[],
  names: readonly string[] = AUTO_KV_FORMATS,
): FormatChoice {
  const tried = names.map((name) => {
    const format = resolveKvFormat(name, demand.hyperparameters, demand.calibration);
    const plan = addUpMemory({ ...demand, format });
    return { format, plan, broken: brokenLimit(plan, limits) };
  });
  const chosen = tried.find(({ broken }) => broken === undefined);
  if (!chosen) return { format: tried[tried.length - 1].format, fits: false, reason: 'no format fits' };
  const { format, plan } = chosen;
  const needs = limits.length === 0 ? 'nothing limits it' : `it needs ${share(plan, tightest(limits))}`;
  const finer = tried[tried.indexOf(chosen) - 1];
  if (!finer?.broken) return { format, fits: true, reason: `the finest, and ${needs}` };
  const missed = `${finer.format.name} would need ${share(finer.plan, finer.broken)}`;
  return {
    format,
    fits: true,
    reason: `the finest that fits: ${needs}; ${missed}${lossOf(format, demand.hyperparameters)}`,
  };
}

/** What the whole process may take, where that is limited. @param limits at least one */
function tightest(limits: readonly MemoryLimit[]): MemoryLimit {
  const process = limits.filter(({ of }) => of === 'process');
  return (process.length > 0 ? process : [...limits]).reduce((least, other) =>
    other.bytes < least.bytes ? other : least,
  );
}

function share(plan: MemoryPlan, limit: MemoryLimit): string {
  return `${size(bytesUnder(limit, plan))} of ${size(limit.bytes)} (${limit.name})`;
}
