import { bitsPerElement, sealedPageLayout } from '../cache/page-layout.ts';
import type { Calibration } from '../calibration/calibration.ts';
import type { MemoryUsage } from '../kernels/kernels.ts';
import type { ModelFile } from '../model/model-file.ts';
import { AUTO_KV_FORMATS, KV_FORMAT_LADDER } from '../quant/kv-format.ts';
import { chooseFormat } from './choose-format.ts';
import { fixesFor, type MemoryFix } from './memory-advice.ts';
import { addUpMemory, brokenLimit, longestCtx, mostSequences, type MemoryLimit } from './memory-plan.ts';
import { budgetOf, demandOf, type MemoryPlatform } from './plan-load.ts';
import type { EngineLoadOptions } from './protocol.ts';

/** What a format would take, and how far it would reach. Bytes are resident, with every sequence's context full. */
export interface FormatPlan {
  readonly kv: string;
  /** Of sealed pages, metadata counted. */
  readonly bitsPerElement: number;
  /** Weights, pages and scratch. */
  readonly memory: MemoryUsage;
  /** Node.js, its threads and the vocabulary. */
  readonly runtimeBytes: number;
  readonly totalBytes: number;
  readonly fits: boolean;
  /** Longest context, up to the model's own, that as many sequences can have; 0 if none. */
  readonly longestCtx: number;
  /** Most sequences that can have such a context, up to what an engine takes; 0 if none. */
  readonly mostSequences: number;
}

/** What `plan` tells of a model: what loading it takes in each format, and which one `kv: 'auto'` would choose. */
export interface ModelPlan {
  readonly model: string;
  readonly path: string;
  readonly architecture: string;
  readonly numParameters: number;
  /** The model's own. */
  readonly contextLength: number;
  readonly ctx: number;
  readonly maxSequences: number;
  readonly backend: EngineLoadOptions['backend'];
  readonly threads: number;
  /** Name of the model that drafts; its memory is in the sums. */
  readonly draftModel?: string;
  readonly limits: readonly MemoryLimit[];
  /** The finest first. */
  readonly formats: readonly FormatPlan[];
  /** Undefined where none fits of those that it is made from. */
  readonly choice: { readonly kv: string; readonly reason: string } | undefined;
  /** Where nothing is chosen: what would fit, the most useful first. */
  readonly fixes: readonly MemoryFix[];
}

export type PlannedModel = Omit<
  EngineLoadOptions,
  'modelPath' | 'draftModelPath' | 'requestedAtMs' | 'kv' | 'calibration'
> & {
  readonly calibration?: Calibration | undefined;
  /** A model that is to draft. */
  readonly draft?: ModelFile | undefined;
  /** Formats to compare; undefined for all. */
  readonly kv: readonly string[] | undefined;
};

/**
 * Adds up a model's memory in several formats. Reads no weights. A budget takes the place of what the machine has, since a plan may be
 * made for another one.
 *
 * @throws KvantError INVALID_OPTION for a context that the model does not have
 */
export function planModel(model: ModelFile, options: PlannedModel, platform: MemoryPlatform): ModelPlan {
  const { backend, threads, maxSequences, memory } = options;
  const own = platform.memoryLimits(backend);
  const limits = memory === undefined ? own : [budgetOf(memory), ...own.filter(({ of }) => of !== 'process')];
  const names = options.kv ?? KV_FORMAT_LADDER;
  const formats = names.map((kv) => planFormat(model, kv, options, limits, platform));
  const offered = (options.kv === undefined ? formats.filter(({ kv }) => AUTO_KV_FORMATS.includes(kv)) : [...formats])
    .sort((a, b) => b.memory.pageBytes - a.memory.pageBytes)
    .map(({ kv }) => kv);
  const demand = demandOf(model, offered[0], options, platform);
  const { format, reason, fits } = chooseFormat(demand, limits, offered);
  return {
    model: model.name,
    path: model.file.name,
    architecture: demand.hyperparameters.architecture,
    numParameters: model.numParameters,
    contextLength: demand.hyperparameters.contextLength,
    ctx: demand.ctx,
    maxSequences,
    backend,
    threads,
    ...(options.draft && { draftModel: options.draft.name }),
    limits,
    formats,
    choice: fits ? { kv: format.name, reason } : undefined,
    fixes: fits ? [] : [...fixesFor({ ...demand, format }, limits), ...fittingOf(formats)],
  };
}

/** Formats that fit though they are not chosen from, as only who asks for them gets them. */
function fittingOf(formats: readonly FormatPlan[]): readonly MemoryFix[] {
  return formats.filter(({ fits }) => fits).map(({ kv }) => ({ kv }));
}

function planFormat(
  model: ModelFile,
  kv: string,
  options: PlannedModel,
  limits: readonly MemoryLimit[],
  platform: MemoryPlatform,
): FormatPlan {
  const demand = demandOf(model, kv, options, platform);
  const { hyperparameters, format } = demand;
  const plan = addUpMemory(demand);
  return {
    kv: format.name,
    bitsPerElement: bitsPerElement(sealedPageLayout(format, hyperparameters)),
    memory: plan.memory,
    runtimeBytes: plan.runtimeBytes,
    totalBytes: plan.totalBytes,
    fits: brokenLimit(plan, limits) === undefined,
    longestCtx: longestCtx(demand, limits, hyperparameters.contextLength),
    mostSequences: mostSequences(demand, limits),
  };
}
