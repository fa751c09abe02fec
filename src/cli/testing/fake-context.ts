import { PassThrough } from 'node:stream';
import type { CliContext, InputStream } from '../cli-context.ts';
import type { InterruptSignal } from '../interrupts.ts';

export interface FakeContextOptions {
  readonly load?: CliContext['load'];
  /** What is piped in; where absent, the input stays open and silent. */
  readonly stdin?: string;
  /** Whether stdin and stdout are a terminal. */
  readonly terminal?: boolean;
  readonly env?: CliContext['env'];
}

/** A world for commands whose streams and signals are in the test's hands. */
export class FakeContext implements CliContext {
  readonly load: CliContext['load'];
  readonly stdin: InputStream & PassThrough;
  readonly stdout: PassThrough & { isTTY?: boolean };
  readonly stderr: PassThrough;
  readonly env: CliContext['env'];
  readonly interrupts: CliContext['interrupts'];
  readonly #handlers = new Set<(signal: InterruptSignal) => void>();
  readonly #texts = { stdout: '', stderr: '' };

  constructor({ load, stdin, terminal = false, env = {} }: FakeContextOptions = {}) {
    this.load = load ?? (() => Promise.reject(new Error('the test loads no model')));
    const isTTY = { isTTY: terminal };
    this.stdin = Object.assign(new PassThrough(), isTTY);
    this.stdout = Object.assign(this.#collector('stdout'), isTTY);
    this.stderr = this.#collector('stderr');
    this.env = env;
    this.interrupts = {
      listen: (handler) => {
        this.#handlers.add(handler);
        return () => this.#handlers.delete(handler);
      },
    };
    if (stdin !== undefined) this.stdin.end(stdin);
  }

  /** What was written so far. */
  get texts(): { readonly stdout: string; readonly stderr: string } {
    return this.#texts;
  }

  interrupt(signal: InterruptSignal = 'SIGINT'): void {
    for (const handler of this.#handlers) handler(signal);
  }

  #collector(name: 'stdout' | 'stderr'): PassThrough {
    const stream = new PassThrough();
    stream.setEncoding('utf8').on('data', (text: string) => (this.#texts[name] += text));
    return stream;
  }
}
