import { KvantError } from '../../errors.ts';
import type { KernelsConfig } from '../kernels.ts';
import {
  CONTROL_BYTES,
  CONTROL_COMMANDS,
  CONTROL_GENERATION,
  CONTROL_NUM_COMMANDS,
  CONTROL_NUM_THREADS,
  CONTROL_SCRATCH,
  CONTROL_SCRATCH_STRIDE,
  CONTROL_STOP,
} from './assembly/commands.ts';
import { threadScratchBytes } from './attention-plan.ts';
import type { KernelThreads, StartKernelThreads } from './kernel-threads.ts';
import { Program } from './program.ts';
import { SharedMemory } from './shared-memory.ts';
import { instantiate, type KernelExports, type WasmIsa, type WasmModule } from './wasm-module.ts';

/** One memory, the threads that share it, and the command list that they run. */
export class KernelRuntime {
  readonly memory: SharedMemory;
  readonly program: Program;
  readonly exports: KernelExports;
  readonly isa: WasmIsa;
  readonly #control: number;
  readonly #threads: KernelThreads;
  #closed = false;

  private constructor(
    parts: { memory: SharedMemory; program: Program; exports: KernelExports; isa: WasmIsa },
    control: number,
    threads: KernelThreads,
  ) {
    this.memory = parts.memory;
    this.program = parts.program;
    this.exports = parts.exports;
    this.isa = parts.isa;
    this.#control = control;
    this.#threads = threads;
  }

  static async start(
    config: KernelsConfig,
    { module, isa }: WasmModule,
    startThreads: StartKernelThreads,
  ): Promise<KernelRuntime> {
    const memory = new SharedMemory();
    const program = new Program(memory);
    const control = memory.allocate(CONTROL_BYTES, 'the control block');
    const scratchStride = Math.ceil(threadScratchBytes(config) / 64) * 64;
    const words = memory.words(control, CONTROL_BYTES / 4);
    words[CONTROL_NUM_THREADS / 4] = config.numThreads;
    words[CONTROL_COMMANDS / 4] = program.address;
    words[CONTROL_SCRATCH / 4] = memory.allocate(config.numThreads * scratchStride, 'scratch of the kernel threads');
    words[CONTROL_SCRATCH_STRIDE / 4] = scratchStride;
    const exports = instantiate(module, memory.memory);
    const threads = await startThreads(config.numThreads, { module, memory: memory.memory, control });
    return new KernelRuntime({ memory, program, exports, isa }, control, threads);
  }

  /** @throws KvantError ENGINE_CLOSED after `close`: whoever waited for the threads would wait in vain */
  checkOpen(): void {
    if (this.#closed) throw new KvantError('ENGINE_CLOSED', 'the wasm kernels have been closed');
  }

  /**
   * Runs the program on all threads, the caller's included.
   *
   * @throws KvantError ENGINE_FAILED if a kernel traps, ENGINE_CLOSED after `close`
   */
  run(): void {
    this.checkOpen();
    if (this.program.length === 0) return;
    this.program.end();
    this.#words()[CONTROL_NUM_COMMANDS / 4] = this.program.length;
    try {
      this.exports.runCommands(this.#control);
    } catch (error) {
      throw new KvantError('ENGINE_FAILED', `a kernel failed: ${String(error)}`, { cause: error });
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const words = new Int32Array(this.memory.memory.buffer, this.#control, CONTROL_BYTES / 4);
    Atomics.store(words, CONTROL_STOP / 4, 1);
    Atomics.add(words, CONTROL_GENERATION / 4, 1);
    Atomics.notify(words, CONTROL_GENERATION / 4);
    await this.#threads.end();
  }

  #words(): Uint32Array {
    return this.memory.words(this.#control, CONTROL_BYTES / 4);
  }
}
