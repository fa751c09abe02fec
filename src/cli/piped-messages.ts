import { createInterface, type Interface } from 'node:readline';
import type { InputStream } from './cli-context.ts';
import { MessageLines } from './message-lines.ts';
import type { MessageSource } from './message-source.ts';

/** Messages from lines that are piped in; empty lines are passed over. */
export class PipedMessages implements MessageSource {
  readonly #reader: Interface;
  readonly #lines: AsyncIterator<string>;
  readonly #message = new MessageLines();

  constructor(stdin: InputStream) {
    this.#reader = createInterface({ input: stdin, crlfDelay: Number.POSITIVE_INFINITY });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  async next(): Promise<string | undefined> {
    for (;;) {
      const line = await this.#lines.next();
      const message = line.done ? this.#message.end() : this.#message.push(line.value);
      if (line.done || message?.trim()) return message;
    }
  }

  close(): void {
    this.#reader.close();
  }
}
