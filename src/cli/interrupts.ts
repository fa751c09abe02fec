import { EXIT } from './exit-code.ts';

export type InterruptSignal = 'SIGINT' | 'SIGTERM';

/** Where Ctrl-C and requests to end come from. */
export interface Interrupts {
  /** Calls the handler at a signal, instead of ending the process, until the returned function is called. */
  listen(handler: (signal: InterruptSignal) => void): () => void;
}

/** The signals of this process. A second one, while the first is still being handled, ends the process at once. */
export const processInterrupts: Interrupts = {
  listen(handler) {
    let handled = false;
    const onSignal = (signal: NodeJS.Signals): void => {
      const known = signal === 'SIGTERM' ? 'SIGTERM' : 'SIGINT';
      if (handled) process.exit(EXIT[known]);
      handled = true;
      handler(known);
    };
    process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
    return () => {
      process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    };
  },
};

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
