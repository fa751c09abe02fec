import type { BackendDescription } from '../index.ts';
import type { Peer } from './bench-peers.ts';
import type { CliContext } from './cli-context.ts';
import { EXIT } from './exit-code.ts';
import { formatQuantity } from './format.ts';
import { Interruptible } from './interrupts.ts';
import { Output } from './output.ts';
import { ProgressLine } from './progress-line.ts';

const TICK_MS = 1000;

/**
 * Measures, and prints tables as they grow, or with `json` one object at the end. Ctrl-C and a reader of the output who leaves end it.
 *
 * @param measure what is to be printed as JSON
 * @returns the exit code
 * @throws what `measure` throws, unless it was ended
 */
export async function measureInSession(
  json: boolean,
  context: CliContext,
  measure: (session: BenchSession) => Promise<object>,
): Promise<number> {
  const work = new Interruptible(context.interrupts);
  const output = new Output(context.stdout);
  const signal = AbortSignal.any([work.signal, output.closed]);
  const session = new BenchSession(output, context, { json, signal });
  try {
    const report = await measure(session);
    if (json) await output.write(`${JSON.stringify(report)}\n`);
    await output.flush();
    return EXIT.ok;
  } catch (error) {
    if (work.exitCode !== undefined) return work.exitCode;
    if (output.closed.aborted) return EXIT.ok;
    throw error;
  } finally {
    session.endProgress();
    work.end();
  }
}

/** Where a measurement's rows, notes and progress go, and what stops it. Progress stays in sight, with its seconds, until something is printed. */
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
