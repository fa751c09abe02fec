import { Worker } from 'node:worker_threads';
import type { EnginePort } from './engine-client.ts';
import type { FromEngine } from './protocol.ts';

/** TypeScript and its build lie side by side under the same names, so the worker's extension is this file's own. */
const WORKER_ENTRY = new URL(
  import.meta.url.endsWith('.ts') ? './worker-node.ts' : './worker-node.js',
  import.meta.url,
);

/** Flags that tell Node what to run: they are about the program's own entry, and a worker that inherits them will not start. */
const ENTRY_FLAGS = ['--input-type', '-e', '--eval', '-p', '--print', '-pe'];

/** Starts an engine's worker. It has loaded nothing yet. */
export function startEngineWorker(): EnginePort {
  const execArgv = withoutEntryFlags(process.execArgv);
  const worker = new Worker(WORKER_ENTRY, { name: 'kvant-engine', execArgv });
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

/** @param execArgv as Node has it: a flag and its value in one string or in two */
function withoutEntryFlags(execArgv: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < execArgv.length; i++) {
    const [flag] = execArgv[i].split('=');
    if (!ENTRY_FLAGS.includes(flag)) kept.push(execArgv[i]);
    else if (flag === execArgv[i]) i++;
  }
  return kept;
}
