/** Entry of a kernel thread: tells that it is ready, then runs command lists until it is told to stop. */
import * as nodeModule from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import type { KernelThreadData } from './kernel-threads.ts';
import { instantiate } from './wasm-module.ts';

const { module, memory, control, thread } = workerData as KernelThreadData;
const kernels = instantiate(module, memory);
parentPort?.postMessage('ready');
// Where there is a compile cache (Node 22.10 and later can write it when told): a thread is ended while it waits in wasm, and has no other
// chance to write its part.
const { flushCompileCache }: Partial<typeof nodeModule> = nodeModule;
flushCompileCache?.();
kernels.serve(control, thread);
