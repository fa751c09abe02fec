/** Entry of a kernel thread: tells that it is ready, then runs command lists until it is told to stop. */
import { parentPort, workerData } from 'node:worker_threads';
import { instantiate } from './wasm-module.ts';

export interface KernelThreadData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Address of the control block. */
  readonly control: number;
  readonly thread: number;
}

const { module, memory, control, thread } = workerData as KernelThreadData;
const kernels = instantiate(module, memory);
parentPort?.postMessage('ready');
kernels.serve(control, thread);
