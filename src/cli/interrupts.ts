import { EXIT } from './exit-code.ts';

export type InterruptSignal = 'SIGINT' | 'SIGTERM';

/** Where Ctrl-C and requests to end come from. */
export interface Interrupts {
  /** Calls the handler at a signal, instead of ending the process, until the returned function is called. */
  listen(handler: (signal: InterruptSignal) => void): () => void;
}

/** npm passes a Ctrl-C on to the program, which has had it from the terminal already: what follows so soon is the same. */
const SAME_SIGNAL_MS = 100;

/** The signals of this process. A second one, while the first is still being handled, ends the process at once. */
export class ProcessInterrupts implements Interrupts {
  readonly #exit: (code: number) => void;
  readonly #now: () => number;
  #lastMs: number | undefined;

  constructor(
    exit: (code: number) => void = (code) => process.exit(code),
    now: () => number = () => performance.now(),
  ) {
    this.#exit = exit;
    this.#now = now;
  }

  listen(handler: (signal: InterruptSignal) => void): () => void {
    let isHandled = false;
    const handle = (signal: InterruptSignal): void => {
      if (this.#isRepetition()) return;
      if (isHandled) this.#exit(EXIT[signal]);
      else handler(signal);
      isHandled = true;
    };
    const onInterrupt = (): void => handle('SIGINT');
    const onTerminate = (): void => handle('SIGTERM');
    process.on('SIGINT', onInterrupt).on('SIGTERM', onTerminate);
    return () => {
      process.off('SIGINT', onInterrupt).off('SIGTERM', onTerminate);
    };
  }

  #isRepetition(): boolean {
    const nowMs = this.#now();
    const sinceLastMs = this.#lastMs === undefined ? Number.POSITIVE_INFINITY : nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    return sinceLastMs < SAME_SIGNAL_MS;
  }
}

/** A stretch of work that a signal aborts. End it when the work is done. */
export class Interruptible {
  readonly #controller = new AbortController();
  readonly #end: () => void;
  #exitCode: number | undefined;

  constructor(interrupts: Interrupts) {
    this.#end = interrupts.listen((signal) => {
      this.#exitCode = EXIT[signal];
      this.#controller.abort();
    });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The exit code of the signal that came, if one came. */
  get exitCode(): number | undefined {
    return this.#exitCode;
  }

  end(): void {
    this.#end();
  }
}
