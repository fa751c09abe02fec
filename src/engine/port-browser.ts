import type { EnginePort } from './engine-client.ts';
import type { FromEngine } from './protocol.ts';

/** Starts an engine's worker. It has loaded nothing yet. */
export function startEngineWorker(): EnginePort {
  // Written like this, bundlers see that the worker belongs to the program.
  const worker = new Worker(new URL('./worker-browser.ts', import.meta.url), { type: 'module', name: 'kvant-engine' });
  return {
    post: (message) => worker.postMessage(message),
    onMessage: (handler) => worker.addEventListener('message', ({ data }) => handler(data as FromEngine)),
    onEnd: (handler) => {
      worker.addEventListener('error', ({ message = 'its script cannot be loaded' }) => handler(message));
      worker.addEventListener('messageerror', () => handler('a message could not be read'));
    },
    // A page does not end because nobody uses it.
    setBusy: () => undefined,
    terminate: async () => worker.terminate(),
  };
}
