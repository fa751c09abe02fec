import { availableParallelism } from 'node:os';
import { DEFAULT_KV_FORMAT, DEFAULT_MAX_PREFILL_TOKENS, DEFAULT_MAX_THREADS, DEFAULT_SWAP_BYTES } from './defaults.ts';
import { embeddedModelPath } from './embedded-model-node.ts';
import { EngineClient } from './engine-client.ts';
import { parseLoadOptions, type ParsedLoadOptions } from './options.ts';
import { startEngineWorker } from './port-node.ts';
import { chooseBackend } from './choose-backend-node.ts';
import type { EngineLoadOptions } from './protocol.ts';
import { RemoteModel } from './remote-model.ts';
import type { LoadOptions, Model } from './types.ts';
import { wallClockMs } from './wall-clock.ts';

/**
 * Loads a model into a worker of its own, which also starts the kernel threads. The program can end while nothing is
 * being generated, even if the model is not closed.
 *
 * @throws KvantError INVALID_OPTION, MODEL_NOT_FOUND, MODEL_NOT_GGUF, MODEL_TRUNCATED, MODEL_INVALID,
 *   MODEL_UNSUPPORTED, OUT_OF_MEMORY, FILE_ERROR, BACKEND_UNAVAILABLE, ENGINE_FAILED; the signal's reason if it aborts
 */
export async function load(options: LoadOptions = {}): Promise<Model> {
  return loadWith(() => new EngineClient(startEngineWorker()), options);
}

/**
 * As `load`, in a worker that the caller provides: one that was started before the options were known, for instance.
 *
 * @param connect called once, if the options are sound
 */
export async function loadWith(connect: () => EngineClient, options: LoadOptions): Promise<Model> {
  const { onProgress, signal, ...parsed } = parseLoadOptions(options);
  const params = resolveOptions({ ...parsed, backend: await chooseBackend(parsed.backend) });
  // After all that is waited for: until `abort` is listened to, nothing else notices.
  signal?.throwIfAborted();
  const client = connect();
  const closeOnAbort = (): void => void client.close();
  signal?.addEventListener('abort', closeOnAbort, { once: true });
  try {
    const call = client.call('load', params, (event) => {
      if (event.type === 'loadProgress') onProgress?.(event.progress);
    });
    return new RemoteModel(client, await call.result);
  } catch (error) {
    await client.close();
    throw signal?.aborted ? signal.reason : error;
  } finally {
    signal?.removeEventListener('abort', closeOnAbort);
  }
}

/**
 * Options with every default filled in.
 *
 * @param options checked already, the backend chosen
 * @throws KvantError MODEL_NOT_FOUND if the embedded model is wanted and not installed
 */
export function resolveOptions(
  options: Omit<ParsedLoadOptions, 'backend'> & Pick<EngineLoadOptions, 'backend'>,
): EngineLoadOptions {
  const { model, kv, calibration, ctx, threads, backend, maxSequences, memory, checkKv, draftModel } = options;
  const { kvMemory, swap, swapSize, swapFolder, schedule, maxPrefillTokens, tenantQuota } = options;
  return {
    modelPath: model ?? embeddedModelPath(),
    requestedAtMs: wallClockMs(),
    kv: kv ?? DEFAULT_KV_FORMAT,
    calibration,
    ctx,
    threads: threads ?? Math.min(availableParallelism(), DEFAULT_MAX_THREADS),
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
    draftModelPath: draftModel,
  };
}
