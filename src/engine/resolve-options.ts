import { DEFAULT_KV_FORMAT, DEFAULT_MAX_PREFILL_TOKENS, DEFAULT_MAX_THREADS, DEFAULT_SWAP_BYTES } from './defaults.ts';
import type { ParsedLoadOptions } from './options.ts';
import type { EngineLoadOptions } from './protocol.ts';
import { wallClockMs } from './wall-clock.ts';

/** Options that have been checked, with a model and a backend that the platform has chosen. */
export type ChosenOptions = Omit<ParsedLoadOptions, 'model' | 'backend'> &
  Pick<EngineLoadOptions, 'modelPath' | 'backend'>;

/** Options with every default filled in. @param numCores that are there for kernel threads */
export function resolveLoadOptions(options: ChosenOptions, numCores: number): EngineLoadOptions {
  const { modelPath, kv, calibration, ctx, threads, backend, maxSequences, memory, checkKv, draftModel } = options;
  const { kvMemory, swap, swapSize, swapFolder, schedule, maxPrefillTokens, tenantQuota, auditEvery } = options;
  return {
    modelPath,
    requestedAtMs: wallClockMs(),
    kv: kv ?? DEFAULT_KV_FORMAT,
    calibration,
    ctx,
    threads: threads ?? Math.min(numCores, DEFAULT_MAX_THREADS),
    backend,
    maxSequences: maxSequences ?? 1,
    memory,
    checkKv,
    kvMemory,
    swap:
      swap === undefined || swap === 'none'
        ? undefined
        : { kind: swap, folder: swapFolder, maxBytes: swapSize ?? DEFAULT_SWAP_BYTES },
    policy: schedule,
    maxPrefillRows: maxPrefillTokens ?? DEFAULT_MAX_PREFILL_TOKENS,
    tenantQuota,
    auditEvery,
    draftModelPath: draftModel,
  };
}
