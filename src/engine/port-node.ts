import * as nodeModule from 'node:module';
import { dirname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { EnginePort } from './engine-client.ts';
import type { FromEngine } from './protocol.ts';

/** TypeScript and its build lie side by side under the same names, so the worker's extension is this file's own. */
const WORKER_ENTRY = new URL(
  import.meta.url.endsWith('.ts') ? './worker-node.ts' : './worker-node.js',
  import.meta.url,
);

/** Of short-lived objects. V8 would let them take 48 MB before it looks for garbage, and an engine makes few in a step. */
const RESOURCE_LIMITS = { maxYoungGenerationSizeMb: 6 };

/** Starts an engine's worker. It has loaded nothing yet. */
export function startEngineWorker(): EnginePort {
  const worker = new Worker(WORKER_ENTRY, {
    name: 'kvant-engine',
    resourceLimits: RESOURCE_LIMITS,
    ...inheritedFlags(),
    ...inheritedCache(),
  });
  return {
    post: (message) => worker.postMessage(message),
    onMessage: (handler) => void worker.on('message', (message: FromEngine) => handler(message)),
    onEnd: (handler) => {
      worker.on('error', (error) => handler(error instanceof Error ? error.message : String(error)));
      worker.on('messageerror', (error) => handler(error.message));
      worker.on('exit', (code) => handler(`exit code ${code}`));
    },
    setBusy: (busy) => (busy ? worker.ref() : worker.unref()),
    terminate: async () => void (await worker.terminate()),
  };
}

/**
 * A worker takes over the flags of its program. `--input-type`, which goes with `node -e`, is refused by every worker
 * that has a file; then it gets none, since a list that leaves this one out must not have any of V8's either.
 */
function inheritedFlags(): { execArgv?: string[] } {
  return process.execArgv.some((flag) => flag.startsWith('--input-type')) ? { execArgv: [] } : {};
}

/** Workers share the compile cache of their program only if the environment tells them; its folder has one for each version of Node. */
function inheritedCache(): { env?: NodeJS.ProcessEnv } {
  const { getCompileCacheDir }: Partial<typeof nodeModule> = nodeModule;
  const folder = getCompileCacheDir?.();
  return folder === undefined ? {} : { env: { ...process.env, NODE_COMPILE_CACHE: dirname(folder) } };
}
