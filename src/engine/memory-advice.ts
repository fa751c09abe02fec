import { resolveKvFormat } from '../calibration/calibration.ts';
import { KvantError } from '../errors.ts';
import { AUTO_KV_FORMATS } from '../quant/kv-format.ts';
import { lossOf } from './format-loss.ts';
import {
  addUpMemory,
  brokenLimit,
  bytesUnder,
  fits,
  longestCtx,
  mostSequences,
  type MemoryDemand,
  type MemoryLimit,
  type MemoryPlan,
} from './memory-plan.ts';

/** What would fit instead, with all else as asked for. */
export interface MemoryFix {
  readonly maxSequences?: number;
  readonly ctx?: number;
  readonly kv?: string;
}

/** Shorter ones are no answer to whoever asked for a context. */
const MIN_CTX_WORTH_NAMING = 64;

/**
 * Adds up what an engine needs before anything of it is allocated.
 *
 * @throws KvantError OUT_OF_MEMORY that tells what is needed, what there is, and what would fit
 */
export function planMemory(demand: MemoryDemand, limits: readonly MemoryLimit[]): MemoryPlan {
  const plan = addUpMemory(demand);
  const limit = brokenLimit(plan, limits);
  if (limit)
    throw new KvantError('OUT_OF_MEMORY', shortage(demand, plan, limit) + advice(demand, fixesFor(demand, limits)));
  return plan;
}

/** What would fit, the most useful first: fewer sequences, a shorter context, another format. Empty where nothing would. */
export function fixesFor(demand: MemoryDemand, limits: readonly MemoryLimit[]): readonly MemoryFix[] {
  const fixes: MemoryFix[] = [];
  if (demand.maxSequences > 1) {
    const maxSequences = mostSequences(demand, limits, demand.maxSequences - 1);
    if (maxSequences > 0) fixes.push({ maxSequences });
  }
  const ctx = longestCtx(demand, limits, demand.ctx - 1);
  const alone = fixes.length === 0 ? longestCtx({ ...demand, maxSequences: 1 }, limits, demand.ctx - 1) : 0;
  if (demand.maxSequences > 1 && alone > ctx && alone >= MIN_CTX_WORTH_NAMING)
    fixes.push({ maxSequences: 1, ctx: alone });
  if (ctx >= MIN_CTX_WORTH_NAMING) fixes.push({ ctx });
  const other = otherFormat(demand, limits, ctx);
  return other ? [...fixes, other] : fixes;
}

/** The finest of the smaller formats that fits, or the smallest with as long a context as fits. */
function otherFormat(demand: MemoryDemand, limits: readonly MemoryLimit[], ctx: number): MemoryFix | undefined {
  const pageBytes = (other: MemoryDemand): number => addUpMemory(other).memory.pageBytes;
  const smaller = AUTO_KV_FORMATS.map((name) => ({
    ...demand,
    format: resolveKvFormat(name, demand.hyperparameters, demand.calibration),
  })).filter((other) => pageBytes(other) < pageBytes(demand));
  const asAsked = smaller.find((other) => fits(other, limits));
  if (asAsked) return { kv: asAsked.format.name };
  const smallest = smaller.at(-1);
  if (!smallest) return undefined;
  const longer = longestCtx(smallest, limits, demand.ctx - 1);
  return longer > ctx && longer >= MIN_CTX_WORTH_NAMING ? { kv: smallest.format.name, ctx: longer } : undefined;
}

function shortage(demand: MemoryDemand, plan: MemoryPlan, limit: MemoryLimit): string {
  const { ctx, format, maxSequences } = demand;
  const { weightBytes, pageBytes, scratchBytes } = plan.memory;
  const sequences = maxSequences === 1 ? '' : ` for each of ${maxSequences} sequences`;
  const parts =
    limit.of === 'addresses'
      ? `weights ${size(weightBytes)}, KV cache ${size(pageBytes)}, scratch ${size(plan.reservedBytes - weightBytes - pageBytes)}`
      : `weights ${size(weightBytes)}, KV cache ${size(pageBytes)}, scratch ${size(scratchBytes)}, ` +
        `runtime and threads ${size(plan.runtimeBytes)}`;
  return (
    `not enough memory: ${size(bytesUnder(limit, plan))} are needed (${parts}) for a context of ` +
    `${count(ctx)} tokens in ${format.name}${sequences}, but ${limit.name} has ${size(limit.bytes)} available; `
  );
}

function advice({ hyperparameters, calibration }: MemoryDemand, fixes: readonly MemoryFix[]): string {
  if (fixes.length === 0) return 'use a smaller model, or a file of it with fewer bits a weight';
  const coarsest = fixes.findLast(({ kv }) => kv !== undefined)?.kv;
  const loss =
    coarsest === undefined ? '' : lossOf(resolveKvFormat(coarsest, hyperparameters, calibration), hyperparameters);
  return `${fixes.map(describeFix).join(', or ')}${loss}`;
}

function describeFix({ maxSequences, ctx, kv }: MemoryFix): string {
  if (maxSequences === undefined && kv === undefined) return `lower ctx to ${count(ctx ?? 0)}`;
  const change = kv === undefined ? `lower maxSequences to ${count(maxSequences ?? 1)}` : `use kv ${kv}`;
  return ctx === undefined ? change : `${change} with ctx ${count(ctx)}`;
}

/** Decimal units: `2.43 GB`, `98 MB`. */
export function size(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : `${Math.round(bytes / 1e6)} MB`;
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}
