import { EvalEngine, type EvalSetup } from './eval-engine.ts';
import { measuredPositions } from './windows.ts';

/** Rows of one position, an engine each, in their order. */
export type OnRows = (position: number, rows: readonly Float32Array[]) => void;

/**
 * Engines of several formats over the same windows at the same time. A row is handed on as soon as all engines have it, and an engine
 * waits between its steps while it is ahead of another: so that no more rows are kept than those of one step of each.
 */
export class SideBySide {
  readonly #setup: EvalSetup;
  readonly #engines: EvalEngine[] = [];
  /** By engine, in the order in which they came: positions that another one still lacks. */
  readonly #pending: Map<number, Float32Array>[] = [];
  #hasFailed = false;

  constructor(setup: EvalSetup) {
    this.#setup = setup;
  }

  get engines(): readonly EvalEngine[] {
    return this.#engines;
  }

  /** Loads one more engine. @throws as `EvalEngine.open` does */
  async add(kv: string): Promise<EvalEngine> {
    const pending = new Map<number, Float32Array>();
    const engine = await EvalEngine.open(kv, this.#setup, () => pending.size > 0 && !this.#hasFailed);
    this.#engines.push(engine);
    this.#pending.push(pending);
    return engine;
  }

  /** Runs one window. @throws as `EvalEngine.run` does, for the first engine that fails */
  async run(window: readonly number[], onRows: OnRows): Promise<void> {
    const positions = measuredPositions(window.length);
    const runs = this.#engines.map(async (engine, side) => {
      try {
        await engine.run({ tokens: window, positions, onRow: (...row) => this.#collect(side, row, onRows) });
      } catch (error) {
        // Nobody waits for rows that will not come.
        this.#hasFailed = true;
        throw error;
      }
    });
    await Promise.all(runs);
  }

  async close(): Promise<void> {
    this.#hasFailed = true;
    for (const engine of this.#engines) await engine.close();
  }

  #collect(side: number, [position, row]: [number, Float32Array], onRows: OnRows): void {
    this.#pending[side].set(position, row);
    const rows = this.#pending.map((pending) => pending.get(position));
    if (rows.some((other) => other === undefined)) return;
    for (const pending of this.#pending) pending.delete(position);
    onRows(position, rows as Float32Array[]);
  }
}
