import { EngineServer } from './engine-server.ts';
import { loadEngine } from './load-engine.ts';
import { openModels } from './open-models-browser.ts';
import { browserPlatform } from './platform-browser.ts';
import type { ToEngine } from './protocol.ts';

/** The file that the engine's worker runs in a browser. */

const server = new EngineServer({
  post: (message, transfer) => self.postMessage(message, transfer),
  load: async (options, onProgress, onDownload) => {
    const { model, draft } = await openModels(options, onDownload);
    return loadEngine(model, { ...options, draft, onProgress }, browserPlatform);
  },
});

self.addEventListener('message', ({ data }) => {
  // `receive` tells the host what goes wrong. Should even that fail, the host hears of an error outside of all promises.
  server.receive(data as ToEngine).catch((error: unknown) => {
    setTimeout(() => {
      throw error;
    });
  });
});
