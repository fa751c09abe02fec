import type { EngineLoadOptions } from '../../engine/protocol.ts';
import type { Cell, CheckedRun } from './cell.ts';
import type { ExactEngine } from './exact-engine.ts';
import { SAMPLED } from './exact-text.ts';

/** A row of the matrix: a way to run a prompt that must not change a bit of what comes. */
export interface Condition {
  readonly name: string;
  /** Backends in which it means something; all where absent. */
  readonly backends?: readonly EngineLoadOptions['backend'][];
  /** Runs the text in the cell's format, and whatever belongs to the condition. */
  run(cell: Cell): Promise<void>;
}

/** The text chosen greedily, with all its rows, and sampled. Both have to come out in any condition. */
export const TEXT_RUNS = [
  { name: 'greedy', rowsFrom: 0 },
  { name: 'sampled', sampling: SAMPLED },
] as const satisfies readonly CheckedRun[];

/** Both runs, one after the other. */
export async function checkInTurn(cell: Cell, engine: ExactEngine, changes: Partial<CheckedRun> = {}): Promise<void> {
  for (const run of TEXT_RUNS) await cell.check(engine, { ...run, ...changes });
}

/** Both runs at the same time. */
export async function checkTogether(cell: Cell, engine: ExactEngine, changes: Partial<CheckedRun> = {}): Promise<void> {
  await Promise.all(TEXT_RUNS.map((run) => cell.check(engine, { ...run, ...changes })));
}
