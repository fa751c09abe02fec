import { KvantError } from '../errors.ts';
import type { BrowserLoadOptions, ModelSource } from './browser-types.ts';
import { chooseBackend } from './choose-backend-browser.ts';
import { EngineClient } from './engine-client.ts';
import { NO_CALIBRATION } from './load-calibration.ts';
import { loadRemote } from './load-remote.ts';
import { parseLoadOptions } from './options.ts';
import { startEngineWorker } from './port-browser.ts';
import { resolveLoadOptions } from './resolve-options.ts';
import type { Model } from './types.ts';

/**
 * Loads a model into a worker of its own. What `auto`, the default of `backend`, has chosen stands in `model.info.backend`.
 *
 * @throws KvantError INVALID_OPTION, MODEL_NOT_FOUND, MODEL_NOT_GGUF, MODEL_TRUNCATED, MODEL_INVALID,
 *   MODEL_UNSUPPORTED, OUT_OF_MEMORY, FILE_ERROR, BACKEND_UNAVAILABLE, ENGINE_FAILED; the signal's reason if it aborts
 */
export async function load(options: BrowserLoadOptions): Promise<Model> {
  const { model, draftModel, calibration, onDownload, ...rest } = options ?? {};
  const target = placeOf('model', model);
  const draft = draftModel === undefined ? undefined : placeOf('draftModel', draftModel);
  refuseFolders(rest);
  const { onProgress, signal, ...parsed } = parseLoadOptions(rest);
  const chosen = {
    ...parsed,
    modelPath: target.name,
    ...(draft && { draftModel: draft.name }),
    calibration: calibration === undefined ? NO_CALIBRATION : absolute('calibration', calibration),
    backend: await chooseBackend(parsed.backend),
  };
  const params = resolveLoadOptions(chosen, crossOriginIsolated ? navigator.hardwareConcurrency : 1);
  return loadRemote(
    () => new EngineClient(startEngineWorker()),
    { ...params, modelData: target.data, draftModelData: draft?.data },
    { onProgress, onDownload, signal },
  );
}

interface ModelPlace {
  /** A URL where there is no data. */
  readonly name: string;
  readonly data?: Blob;
}

/** @throws KvantError INVALID_OPTION */
function placeOf(option: string, source: ModelSource): ModelPlace {
  if (typeof source === 'string' || source instanceof URL) return { name: absolute(option, source) };
  if (source instanceof Blob) return { name: 'name' in source ? String(source.name) : `${option}.gguf`, data: source };
  if (source instanceof ArrayBuffer || source instanceof Uint8Array) {
    return { name: `${option}.gguf`, data: new Blob([source]) };
  }
  const found = source === undefined ? 'nothing' : typeof source;
  const message = `option "${option}" must be a URL, a File or another Blob, or bytes of a GGUF file; got ${found}`;
  throw new KvantError('INVALID_OPTION', message);
}

/** Workers resolve relative URLs by their own script, hence they are given absolute ones. */
function absolute(option: string, url: string | URL): string {
  const base = typeof document === 'undefined' ? location.href : document.baseURI;
  if (url === NO_CALIBRATION && option === 'calibration') return url;
  try {
    return new URL(url, base).href;
  } catch (cause) {
    throw new KvantError('INVALID_OPTION', `option "${option}" must be a URL; got "${String(url)}"`, { cause });
  }
}

function refuseFolders(options: object): void {
  const { swap, swapFolder } = options as { readonly swap?: unknown; readonly swapFolder?: unknown };
  if (swap !== 'disk' && swapFolder === undefined) return;
  const name = swap === 'disk' ? 'swap: "disk"' : 'swapFolder';
  const message = `option ${name} needs folders, which browsers have not got: use swap: "memory" or none`;
  throw new KvantError('INVALID_OPTION', message);
}
