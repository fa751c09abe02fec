import { KvantError } from '../../errors.ts';
import type { GpuDevice, GpuRange } from './gpu-device.ts';
import { GpuProgram, type GpuKernel } from './gpu-program.ts';
import { GpuTimer } from './gpu-timer.ts';
import type { ShaderSources } from './shaders.ts';

/** What a device can do at most. */
export interface GpuCeilings {
  readonly macsPerSecond: number;
  readonly bytesPerSecond: number;
}

export interface GpuCeilingSizes {
  /** More than caches hold. */
  readonly readBytes: number;
  readonly workgroups: number;
  /** Repetitions of 16 dot products in a thread. */
  readonly dotTimes: number;
}

/** For a device with many cores. */
const LARGE: GpuCeilingSizes = { readBytes: 2 ** 30, workgroups: 4224, dotTimes: 4096 };
/** For one that is computed. */
const SMALL: GpuCeilingSizes = { readBytes: 2 ** 26, workgroups: 64, dotTimes: 64 };
const NUM_RUNS = 6;
const THREADS = 256;
const DOTS = 16;
const DOT_MACS = 4;

/**
 * Measures reading and dot products of packed bytes, by the device's own clock.
 *
 * @throws KvantError BACKEND_UNAVAILABLE for a device that cannot tell the time; OUT_OF_MEMORY, ENGINE_FAILED
 */
export async function measureGpuCeilings(
  gpu: GpuDevice,
  sources: ShaderSources,
  { readBytes, workgroups, dotTimes }: GpuCeilingSizes = gpu.isSoftware ? SMALL : LARGE,
): Promise<GpuCeilings> {
  const timer = GpuTimer.create(gpu);
  if (!timer) {
    throw new KvantError(
      'BACKEND_UNAVAILABLE',
      'this GPU has no timestamps, so that its kernels cannot be timed alone',
    );
  }
  const program = new GpuProgram(gpu, sources);
  program.timer = timer;
  const size = Math.min(readBytes, gpu.maxRangeBytes);
  const [bytes, result] = [
    gpu.allocate(size - (size % 256), 'the measurement of reading'),
    gpu.allocate(16, 'results'),
  ];
  // Used before that is known, memory that is not there would be an error of its own.
  await gpu.check();
  const read = program.kernel('read', () => ({ name: 'read-speed', parts: [], constants: {} }));
  const dots = program.kernel('dots', () => ({ name: 'dot-speed', parts: [], constants: { TIMES: dotTimes } }));
  const fastest = async (kernel: GpuKernel, bindings: readonly GpuRange[]): Promise<number> => {
    let best = Infinity;
    for (let run = 0; run < NUM_RUNS; run++) {
      program.dispatch(kernel, bindings, [workgroups]);
      program.submit();
      best = Math.min(best, (await timer.readMs()) ?? Infinity);
    }
    await gpu.check();
    return best;
  };
  const readMs = await fastest(read, [bytes, result]);
  const dotMs = await fastest(dots, [result]);
  gpu.free(bytes);
  const macs = workgroups * THREADS * dotTimes * DOTS * DOT_MACS;
  return { macsPerSecond: (1000 * macs) / dotMs, bytesPerSecond: (1000 * bytes.numBytes) / readMs };
}
