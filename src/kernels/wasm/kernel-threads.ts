/** What a kernel thread is started with. */
export interface KernelThreadData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Address of the control block. */
  readonly control: number;
  readonly thread: number;
}

/** The threads beside the caller's own; each waits in wasm for command lists. */
export interface KernelThreads {
  /** The threads must have been told to stop, or be asleep. */
  end(): Promise<void>;
}

/** Starts threads 1 to `numThreads` - 1, as the platform has them, and resolves when all are ready. */
export type StartKernelThreads = (
  numThreads: number,
  shared: Omit<KernelThreadData, 'thread'>,
) => Promise<KernelThreads>;
