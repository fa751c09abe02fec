import type { OutputStream } from './cli-context.ts';

const DELAY_MS = 1000;
const INTERVAL_MS = 100;
const ERASE_LINE = '\r\u001b[K';

/**
 * A line on a terminal that says how far something is, and that is gone afterwards. It appears only once the work has taken a
 * second, and only where it can be erased again: on a terminal that understands escape sequences.
 */
export class ProgressLine {
  readonly #stream: OutputStream;
  readonly #now: () => number;
  readonly #enabled: boolean;
  readonly #startMs: number;
  #shownMs: number | undefined;

  /** @param now milliseconds of a clock that never runs back */
  constructor(stream: OutputStream, terminalType: string | undefined, now: () => number = () => performance.now()) {
    this.#stream = stream;
    this.#now = now;
    this.#enabled = stream.isTTY === true && terminalType !== 'dumb';
    this.#startMs = now();
  }

  /** @param describe gives the line's text; called only when the line is drawn */
  show(describe: () => string): void {
    const nowMs = this.#now();
    if (!this.#enabled || nowMs - this.#startMs < DELAY_MS) return;
    if (this.#shownMs !== undefined && nowMs - this.#shownMs < INTERVAL_MS) return;
    this.#shownMs = nowMs;
    // A line that wraps could not be erased.
    const text = describe().slice(0, (this.#stream.columns ?? 80) - 1);
    this.#stream.write(ERASE_LINE + text);
  }

  /** Erases the line, if it was drawn. */
  clear(): void {
    if (this.#shownMs !== undefined) this.#stream.write(ERASE_LINE);
    this.#shownMs = undefined;
  }
}
