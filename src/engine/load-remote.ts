import type { DownloadProgress } from '../model/download.ts';
import type { EngineClient } from './engine-client.ts';
import type { EngineLoadOptions } from './protocol.ts';
import { RemoteModel } from './remote-model.ts';
import type { LoadProgress, Model } from './types.ts';

export interface LoadListeners {
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  readonly onDownload?: ((progress: DownloadProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Loads a model in a worker, which is ended if that fails.
 *
 * @param connect called once, unless the signal has been aborted already
 * @throws KvantError what loading throws in the worker; the signal's reason if it aborts
 */
export async function loadRemote(
  connect: () => EngineClient,
  params: EngineLoadOptions,
  { onProgress, onDownload, signal }: LoadListeners,
): Promise<Model> {
  // After all that is waited for: until `abort` is listened to, nothing else notices.
  signal?.throwIfAborted();
  const client = connect();
  const closeOnAbort = (): void => void client.close();
  signal?.addEventListener('abort', closeOnAbort, { once: true });
  try {
    const call = client.call('load', params, (event) => {
      if (event.type === 'loadProgress') onProgress?.(event.progress);
      if (event.type === 'downloadProgress') onDownload?.(event.progress);
    });
    return new RemoteModel(client, await call.result);
  } catch (error) {
    await client.close();
    throw signal?.aborted ? signal.reason : error;
  } finally {
    signal?.removeEventListener('abort', closeOnAbort);
  }
}
