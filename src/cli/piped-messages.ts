import { createInterface, type Interface } from 'node:readline';
import type { InputStream } from './cli-context.ts';
import { MessageLines } from './message-lines.ts';
import type { MessageEvent, MessageSource } from './message-source.ts';

/** Messages from lines that are piped in; empty lines are passed over. */
export class PipedMessages implements MessageSource {
  readonly #reader: Interface;
  readonly #lines: AsyncIterator<string>;
  readonly #message = new MessageLines();

  constructor(stdin: InputStream) {
    this.#reader = createInterface({ input: stdin, crlfDelay: Number.POSITIVE_INFINITY });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  async next(): Promise<MessageEvent> {
    for (;;) {
      const line = await this.#lines.next();
      const text = line.done ? this.#message.end() : this.#message.push(line.value);
      if (text?.trim()) return { kind: 'message', text };
      if (line.done) return { kind: 'end' };
    }
  }

  close(): void {
    this.#reader.close();
  }
}
