import type { BackendDescription } from '../index.ts';
import type { Peer } from './bench-peers.ts';
import type { CliContext } from './cli-context.ts';
import { formatQuantity } from './format.ts';
import type { Output } from './output.ts';
import { ProgressLine } from './progress-line.ts';

const TICK_MS = 1000;

/** Where a benchmark's rows, notes and progress go, and what stops it. Progress stays in sight, with its seconds, until something is printed. */
export class BenchSession {
  readonly signal: AbortSignal;
  readonly #output: Output;
  readonly #context: CliContext;
  readonly #json: boolean;
  readonly #line: ProgressLine;
  #timer: NodeJS.Timeout | undefined;

  /** @param json whether tables are held back, since one JSON object is printed at the end */
  constructor(output: Output, context: CliContext, { json, signal }: { json: boolean; signal: AbortSignal }) {
    this.signal = signal;
    this.#output = output;
    this.#context = context;
    this.#json = json;
    this.#line = new ProgressLine(context.stderr, context.env['TERM']);
  }

  /** What is being measured now. */
  progress(describe: () => string): void {
    this.endProgress();
    const startMs = performance.now();
    const show = (): void => {
      this.#line.show(() => `${describe()} (${Math.round((performance.now() - startMs) / 1000)} s)`);
    };
    show();
    this.#timer = setInterval(show, TICK_MS);
  }

  endProgress(): void {
    clearInterval(this.#timer);
    this.#line.clear();
  }

  /** Text of a table. @throws KvantError FILE_ERROR */
  async print(text: string): Promise<void> {
    this.endProgress();
    if (!this.#json) await this.#output.write(text);
  }

  /** The line above a table: which model, on what. */
  async title(
    { name, backend }: { name: string; backend: Omit<BackendDescription, 'name'> & { readonly name: string } },
    peer?: Peer,
  ): Promise<void> {
    const kernels = `${backend.name}, ${formatQuantity(backend.threads, 'thread')}, ${backend.isa}`;
    const against = peer ? ` · against ${peer.name} ${peer.version}` : '';
    await this.print(`${name} · ${kernels}${against}\n`);
  }

  /** A remark about what was measured, on stderr. */
  note(text: string): void {
    this.endProgress();
    this.#context.stderr.write(`${text}\n`);
  }
}
