import { createInterface, type Interface } from 'node:readline';
import type { InputStream, OutputStream } from './cli-context.ts';
import { MessageLines } from './message-lines.ts';
import type { MessageEvent, MessageSource } from './message-source.ts';

const PROMPT = '> ';
const CONTINUED_PROMPT = '. ';
const PASTE_MARKS_ON = '\u001b[?2004h';
const PASTE_MARKS_OFF = '\u001b[?2004l';

/**
 * Messages that somebody types, with line editing and history. Lines that are pasted at once stay together: the terminal is asked to
 * mark where a paste begins and ends. Ctrl-C takes back what has been typed of a message; Ctrl-D ends.
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
  #wanted: ((event: MessageEvent) => void) | undefined;
  #pasted: string[] = [];
  #isPasting = false;
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
    };
    stdin.on('keypress', this.#onKeypress);
    this.#release();
  }

  next(): Promise<MessageEvent> {
    const text = this.#waiting.shift();
    if (text !== undefined) return Promise.resolve({ kind: 'message', text });
    if (this.#isClosed) return Promise.resolve({ kind: 'end' });
    return new Promise((resolve) => {
      this.#wanted = resolve;
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
    if (this.#isPasting) {
      this.#pasted.push(line);
      return;
    }
    const lines = [...this.#pasted, line];
    this.#pasted = [];
    // A paste is a message as it is, unless it goes on with one that has begun.
    const isWhole = lines.length > 1 && !this.#message.isOpen;
    const messages = isWhole ? [lines.join('\n')] : lines.map((text) => this.#message.push(text));
    for (const text of messages) {
      if (text?.trim()) this.#take(text);
    }
    if (this.#wanted) this.#prompt();
  }

  #take(text: string): void {
    if (this.#wanted) this.#deliver({ kind: 'message', text });
    else this.#waiting.push(text);
  }

  #onInterrupt(): void {
    const isEmpty = this.#reader.line === '' && !this.#message.isOpen && this.#pasted.length === 0;
    this.#message.clear();
    this.#pasted = [];
    // To the end of the line, and delete to its start: the reader has no other way to empty it.
    this.#reader.write(null, { ctrl: true, name: 'e' });
    this.#reader.write(null, { ctrl: true, name: 'u' });
    this.#stdout.write('\n');
    if (isEmpty) this.#deliver({ kind: 'interrupt' });
    else this.#prompt();
  }

  #onClose(): void {
    this.#isClosed = true;
    this.#stdin.off('keypress', this.#onKeypress);
    this.#stdout.write(PASTE_MARKS_OFF);
    if (this.#wanted) this.#stdout.write('\n');
    this.#deliver({ kind: 'end' });
  }

  #deliver(event: MessageEvent): void {
    const wanted = this.#wanted;
    this.#wanted = undefined;
    if (!this.#isClosed) this.#release();
    wanted?.(event);
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
