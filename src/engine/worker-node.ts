import { parentPort } from 'node:worker_threads';
import { openModels } from './open-models-node.ts';
import { EngineServer } from './engine-server.ts';
import { loadEngine } from './load-engine.ts';
import { nodePlatform } from './platform-node.ts';
import type { ToEngine } from './protocol.ts';

/** The file that the engine's worker runs. */

if (!parentPort) throw new Error('this file is the entry of a worker: use load() of kvant');
const port = parentPort;

const server = new EngineServer({
  post: (message, transfer) => port.postMessage(message, transfer ?? []),
  load: async ({ modelPath, draftModelPath, ...options }, onProgress) => {
    const { model, draft } = await openModels(modelPath, draftModelPath);
    return loadEngine(model, { ...options, draft, onProgress }, nodePlatform);
  },
});

port.on('message', (message: ToEngine) => {
  // `receive` tells the host what goes wrong. Should even that fail, an error ends the worker, which the host hears of.
  server.receive(message).catch((error: unknown) => {
    setImmediate(() => {
      throw error;
    });
  });
});
