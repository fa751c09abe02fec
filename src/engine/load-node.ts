import { availableParallelism } from 'node:os';
import { embeddedModelPath } from './embedded-model-node.ts';
import { EngineClient } from './engine-client.ts';
import { parseLoadOptions, type ParsedLoadOptions } from './options.ts';
import { startEngineWorker } from './port-node.ts';
import { chooseBackend } from './choose-backend-node.ts';
import { loadRemote } from './load-remote.ts';
import type { EngineLoadOptions } from './protocol.ts';
import { resolveLoadOptions } from './resolve-options.ts';
import type { LoadOptions, Model } from './types.ts';

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
  return loadRemote(connect, params, { onProgress, signal });
}

/**
 * Options with every default filled in.
 *
 * @param options checked already, the backend chosen
 * @throws KvantError MODEL_NOT_FOUND if the embedded model is wanted and not installed
 */
export function resolveOptions({
  model,
  ...options
}: Omit<ParsedLoadOptions, 'backend'> & Pick<EngineLoadOptions, 'backend'>): EngineLoadOptions {
  return resolveLoadOptions({ ...options, modelPath: model ?? embeddedModelPath() }, availableParallelism());
}
