import { arch, availableParallelism, cpus, platform, totalmem } from 'node:os';

/** What a measurement ran on, as `--json` prints it. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memory_bytes: number;
  readonly platform: string;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memory_bytes: totalmem(),
    platform: `${platform()} ${arch()}`,
  };
}
