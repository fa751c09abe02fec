import { createInterface, type Interface } from 'node:readline';
import type { CliContext } from './cli-context.ts';

/** What a person does at the prompt: enters a line, presses Ctrl-C, or ends the input. */
export type LineEvent =
  { readonly kind: 'line'; readonly text: string } | { readonly kind: 'interrupt' } | { readonly kind: 'end' };

/**
 * Lines of the standard input, on a terminal with a prompt, editing and history. Reading goes on while an answer is written, so that
 * Ctrl-C is heard then, too; lines that are typed meanwhile wait.
 */
export class LineSource {
  readonly #reader: Interface;
  readonly #prompt: string;
  readonly #waiting: LineEvent[] = [];
  readonly #stopListening: () => void;
  #wanted: ((event: LineEvent) => void) | undefined;
  #onInterrupt: (() => void) | undefined;
  #ended = false;

  constructor(context: Pick<CliContext, 'stdin' | 'stdout' | 'interrupts'>, prompt: string) {
    const terminal = context.stdin.isTTY === true && context.stdout.isTTY === true;
    this.#prompt = terminal ? prompt : '';
    this.#reader = createInterface({
      input: context.stdin,
      ...(terminal && { output: context.stdout }),
      terminal,
      prompt: this.#prompt,
      historySize: 100,
    });
    this.#reader.on('line', (text) => this.#deliver({ kind: 'line', text }));
    this.#reader.on('SIGINT', () => this.#interrupt());
    this.#reader.on('close', () => {
      this.#ended = true;
      this.#deliver({ kind: 'end' });
    });
    this.#stopListening = context.interrupts.listen(() => this.#interrupt());
  }

  /** Shows the prompt and waits. What has been typed when Ctrl-C comes is dropped. */
  async next(): Promise<LineEvent> {
    const waiting = this.#waiting.shift();
    if (waiting) return waiting;
    if (this.#ended) return { kind: 'end' };
    if (this.#prompt !== '') this.#reader.prompt();
    return new Promise((resolve) => (this.#wanted = resolve));
  }

  /** Calls `handler` at Ctrl-C, in place of an event, while `work` goes on. */
  async during<T>(work: Promise<T>, handler: () => void): Promise<T> {
    this.#onInterrupt = handler;
    try {
      return await work;
    } finally {
      this.#onInterrupt = undefined;
    }
  }

  close(): void {
    this.#stopListening();
    this.#reader.close();
  }

  #interrupt(): void {
    if (this.#onInterrupt) {
      this.#onInterrupt();
      return;
    }
    if (this.#reader.terminal) {
      // To the end of the line, and delete to its start.
      this.#reader.write(null, { ctrl: true, name: 'e' });
      this.#reader.write(null, { ctrl: true, name: 'u' });
    }
    this.#deliver({ kind: 'interrupt' });
  }

  #deliver(event: LineEvent): void {
    const wanted = this.#wanted;
    this.#wanted = undefined;
    if (wanted) wanted(event);
    else if (event.kind !== 'end') this.#waiting.push(event);
  }
}
