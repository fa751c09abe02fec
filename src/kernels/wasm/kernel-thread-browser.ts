import type { KernelThreadData } from './kernel-threads.ts';
import { instantiate } from './wasm-module.ts';

/** Entry of a kernel thread: tells that it is ready, then runs command lists until it is ended. */

const start = ({ data }: { readonly data: unknown }): void => {
  const { module, memory, control, thread } = data as KernelThreadData;
  const kernels = instantiate(module, memory);
  self.postMessage('ready');
  kernels.serve(control, thread);
};
self.addEventListener('message', start);
