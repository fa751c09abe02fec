import type { ModelFile } from '../model/model-file.ts';
import { matrixBytes, resolveKvFormat, type Calibration } from '../calibration/calibration.ts';
import type { KvFormat } from '../quant/kv-format.ts';
import { chooseFormat } from './choose-format.ts';
import { planMemory } from './memory-advice.ts';
import {
  chooseCtx,
  type DraftDemand,
  type MemoryDemand,
  type MemoryLimit,
  type MemoryPlan,
  type RuntimeDemand,
} from './memory-plan.ts';
import type { EngineLoadOptions } from './protocol.ts';
import { keptWeightBytes } from './scratch-memory.ts';

/** What memory depends on of the platform that an engine runs on. */
export interface MemoryPlatform {
  /** Those that are known: browsers tell none of their machine. */
  memoryLimits(backend: EngineLoadOptions['backend']): readonly MemoryLimit[];
  /** What a process takes beside weights, pages and scratch. */
  runtimeBytes(demand: RuntimeDemand): number;
  /** What it takes besides for a calibration with so many bytes of matrices, without the backend's own. */
  calibrationBytes(matrixBytes: number): number;
}

type PlannedOptions = Pick<
  EngineLoadOptions,
  'kv' | 'ctx' | 'threads' | 'backend' | 'maxSequences' | 'memory' | 'kvMemory' | 'swap' | 'auditEvery'
> & {
  readonly calibration?: Calibration | undefined;
  /** A model that is to draft. */
  readonly draft?: ModelFile | undefined;
};

/** Of the pages of draft models: what they lose costs only accepted drafts, and they are small. */
const DRAFT_KV_FORMAT = 'q8';

/** How a model is going to be loaded. */
export interface LoadPlan {
  readonly demand: MemoryDemand;
  readonly memory: MemoryPlan;
  /** As they were before anything was loaded. */
  readonly limits: readonly MemoryLimit[];
  /** Why this format, where it was chosen by `auto`. */
  readonly kvReason: string | undefined;
}

/**
 * Settles context and format of a model that is to be loaded, and adds up its memory.
 *
 * @throws KvantError INVALID_OPTION for a context that the model does not have or an unknown KV format, OUT_OF_MEMORY
 */
export function planLoad(model: ModelFile, options: PlannedOptions, platform: MemoryPlatform): LoadPlan {
  const { backend, kv, memory } = options;
  const budget: readonly MemoryLimit[] = memory === undefined ? [] : [budgetOf(memory)];
  const limits = [...budget, ...platform.memoryLimits(backend)];
  if (kv !== 'auto') {
    const demand = demandOf(model, kv, options, platform);
    return { demand, memory: planMemory(demand, limits), limits, kvReason: undefined };
  }
  const undecided = demandOf(model, 'f16', options, platform);
  const { format, reason } = chooseFormat(undecided, limits);
  const demand = { ...undecided, format };
  return { demand, memory: planMemory(demand, limits), limits, kvReason: reason };
}

/** The same with another format. @throws KvantError OUT_OF_MEMORY */
export function withFormat(plan: LoadPlan, format: KvFormat): LoadPlan {
  const demand = { ...plan.demand, format };
  return { ...plan, demand, memory: planMemory(demand, plan.limits) };
}

/** What loading a model in a format asks for. @throws KvantError INVALID_OPTION */
export function demandOf(
  model: ModelFile,
  kv: string,
  {
    ctx,
    threads,
    backend,
    maxSequences,
    calibration,
    kvMemory,
    swap,
    auditEvery,
    draft,
  }: Omit<PlannedOptions, 'kv' | 'memory'>,
  platform: MemoryPlatform,
): MemoryDemand {
  const { hyperparameters, tokenizerMetadata } = model;
  const { vocabularySize } = hyperparameters;
  const tokenizerModel = String(tokenizerMetadata['tokenizer.ggml.model']);
  return {
    hyperparameters,
    format: resolveKvFormat(kv, hyperparameters, calibration),
    calibration,
    calibrationBytes: calibration ? platform.calibrationBytes(matrixBytes(calibration)) : 0,
    ctx: chooseCtx(ctx, hyperparameters.contextLength),
    maxSequences,
    kvMemoryBytes: kvMemory,
    swapBytes: swap?.kind === 'memory' ? swap.maxBytes : 0,
    isAudited: auditEvery !== undefined,
    backend,
    numThreads: threads,
    weightBytes: keptWeightBytes(model, backend),
    runtimeBytes: platform.runtimeBytes({ backend, numThreads: threads, vocabularySize, tokenizerModel }),
    draft: draft && draftDemandOf(draft, { backend, threads }, platform),
  };
}

function draftDemandOf(
  draft: ModelFile,
  { backend, threads }: Pick<PlannedOptions, 'backend' | 'threads'>,
  platform: MemoryPlatform,
): DraftDemand {
  const { hyperparameters } = draft;
  const runtimeBytes = (numThreads: number): number =>
    platform.runtimeBytes({ backend, numThreads, vocabularySize: 1, tokenizerModel: '' });
  return {
    hyperparameters,
    format: resolveKvFormat(DRAFT_KV_FORMAT, hyperparameters, undefined),
    weightBytes: keptWeightBytes(draft, backend),
    // The vocabulary is the target's; its kernel threads are its own.
    runtimeBytes: runtimeBytes(threads) - runtimeBytes(1),
  };
}

/** The option `memory` as a limit. */
export function budgetOf(bytes: number): MemoryLimit {
  return { bytes, name: 'the memory budget', of: 'process' };
}
