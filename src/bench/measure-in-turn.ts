import type { Contender } from './contender.ts';

export interface TurnOptions {
  readonly runs: number;
  readonly signal: AbortSignal;
  /** Called before each measurement; `run` counts from 0. */
  readonly onMeasure?: (contender: { readonly label: string }, run: number) => void;
}

/**
 * Measures every contender once, then all again: whatever else the machine does meanwhile meets all of them alike.
 *
 * @param taskOf what all are given in a run
 * @returns `runs` results of each, in the order of the contenders
 */
export async function measureInTurn<Task, Result>(
  contenders: readonly Contender<Task, Result>[],
  taskOf: (run: number) => Task,
  { runs, signal, onMeasure }: TurnOptions,
): Promise<Result[][]> {
  const results: Result[][] = contenders.map(() => []);
  for (let run = 0; run < runs; run++) {
    const task = taskOf(run);
    for (const [index, contender] of contenders.entries()) {
      onMeasure?.(contender, run);
      results[index].push(await contender.measure(task, signal));
    }
  }
  return results;
}
