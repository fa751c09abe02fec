import { createInterface, type Interface } from 'node:readline';
import type { InputStream, OutputStream } from './cli-context.ts';
import { MessageLines } from './message-lines.ts';
import type { MessageSource } from './message-source.ts';

const PROMPT = '> ';
const CONTINUED_PROMPT = '. ';
const PASTE_MARKS_ON = '\u001b[?2004h';
const PASTE_MARKS_OFF = '\u001b[?2004l';

/**
 * Messages that somebody types, with line editing and history. Lines that are pasted at once stay together: the terminal is asked to
 * mark where a paste begins and ends. Ctrl-C empties the line; on an empty one, the second Ctrl-C ends the chat, as Ctrl-D does.
 *
 * Between messages the terminal is left in its usual mode, so that Ctrl-C reaches the process as a signal while an answer comes.
 */
export class TerminalMessages implements MessageSource {
  readonly #stdin: InputStream;
  readonly #stdout: OutputStream;
  readonly #reader: Interface;
  readonly #message = new MessageLines();
  readonly #onKeypress: (text: string | undefined, key: { readonly name?: string }) => void;
  /** Messages that were typed ahead, while an answer came. */
  readonly #waiting: string[] = [];
  #deliver: ((message: string | undefined) => void) | undefined;
  #pasted: string[] = [];
  #isPasting = false;
  #isInterrupted = false;
  #isClosed = false;

  constructor(stdin: InputStream, stdout: OutputStream) {
    this.#stdin = stdin;
    this.#stdout = stdout;
    this.#reader = createInterface({ input: stdin, output: stdout, terminal: true, prompt: PROMPT });
    this.#reader.on('line', (line) => this.#onLine(line));
    this.#reader.on('SIGINT', () => this.#onInterrupt());
    this.#reader.on('close', () => this.#onClose());
    this.#onKeypress = (_text, key) => {
      if (key.name === 'paste-start' || key.name === 'paste-end') this.#isPasting = key.name === 'paste-start';
      else if (!(key.name === 'c')) this.#isInterrupted = false;
    };
    stdin.on('keypress', this.#onKeypress);
    this.#release();
  }

  next(): Promise<string | undefined> {
    const waiting = this.#waiting.shift();
    if (waiting !== undefined || this.#isClosed) return Promise.resolve(waiting);
    return new Promise((resolve) => {
      this.#deliver = resolve;
      this.#isInterrupted = false;
      this.#stdin.setRawMode?.(true);
      this.#stdout.write(PASTE_MARKS_ON);
      this.#reader.resume();
      this.#prompt();
    });
  }

  close(): void {
    if (!this.#isClosed) this.#reader.close();
  }

  #onLine(line: string): void {
    this.#isInterrupted = false;
    if (this.#isPasting) {
      this.#pasted.push(line);
      return;
    }
    const text = [...this.#pasted, line].join('\n');
    const wasPasted = this.#pasted.length > 0;
    this.#pasted = [];
    const message = wasPasted && !this.#message.isOpen ? text : this.#message.push(text);
    if (message?.trim()) this.#complete(message);
    else if (this.#deliver) this.#prompt();
  }

  #complete(message: string): void {
    const deliver = this.#deliver;
    this.#deliver = undefined;
    if (!deliver) {
      this.#waiting.push(message);
      return;
    }
    this.#release();
    deliver(message);
  }

  #onInterrupt(): void {
    const isEmpty = this.#reader.line === '' && !this.#message.isOpen && this.#pasted.length === 0;
    if (isEmpty && this.#isInterrupted) {
      this.#reader.close();
      return;
    }
    this.#isInterrupted = isEmpty;
    this.#message.clear();
    this.#pasted = [];
    // Ctrl-U and Ctrl-K: the reader offers no other way to empty its line.
    this.#reader.write(null, { ctrl: true, name: 'e' });
    this.#reader.write(null, { ctrl: true, name: 'u' });
    this.#stdout.write(isEmpty ? '\n(Ctrl-C again, or Ctrl-D, to leave)\n' : '\n');
    this.#prompt();
  }

  #onClose(): void {
    this.#isClosed = true;
    this.#stdin.off('keypress', this.#onKeypress);
    this.#stdout.write(`${PASTE_MARKS_OFF}\n`);
    this.#deliver?.(undefined);
    this.#deliver = undefined;
  }

  /** Gives the terminal back until the next message is wanted. */
  #release(): void {
    this.#reader.pause();
    this.#stdin.setRawMode?.(false);
    this.#stdout.write(PASTE_MARKS_OFF);
  }

  #prompt(): void {
    this.#reader.setPrompt(this.#message.isOpen ? CONTINUED_PROMPT : PROMPT);
    this.#reader.prompt();
  }
}
