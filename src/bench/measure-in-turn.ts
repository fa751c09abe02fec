import type { Contender, Speed, SpeedTask } from './contender.ts';

export interface TurnOptions {
  readonly runs: number;
  readonly signal: AbortSignal;
  /** Called before each measurement; `run` counts from 0. */
  readonly onMeasure?: (contender: Contender, run: number) => void;
}

/**
 * Measures every contender once, then all again: whatever else the machine does meanwhile meets all of them alike.
 *
 * @returns `runs` speeds of each, in the order of the contenders
 */
export async function measureInTurn(
  contenders: readonly Contender[],
  task: SpeedTask,
  { runs, signal, onMeasure }: TurnOptions,
): Promise<Speed[][]> {
  const speeds: Speed[][] = contenders.map(() => []);
  for (let run = 0; run < runs; run++) {
    for (const [index, contender] of contenders.entries()) {
      onMeasure?.(contender, run);
      speeds[index].push(await contender.measure(task, signal));
    }
  }
  return speeds;
}
