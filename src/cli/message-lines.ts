/** The mark that begins and ends a message of several lines. */
const BLOCK_MARK = '"""';

/**
 * Puts the messages of a chat together from lines: a line that ends in a backslash goes on in the next one, and everything
 * between two lines of """ is one message.
 */
export class MessageLines {
  #lines: string[] = [];
  #inBlock = false;

  /** Whether a message has begun and needs more lines. */
  get isOpen(): boolean {
    return this.#inBlock || this.#lines.length > 0;
  }

  /** Takes a line; gives the message that it completes. */
  push(line: string): string | undefined {
    if (line.trim() === BLOCK_MARK && (this.#inBlock || this.#lines.length === 0)) {
      this.#inBlock = !this.#inBlock;
      return this.#inBlock ? undefined : this.end();
    }
    if (!this.#inBlock && line.endsWith('\\')) {
      this.#lines.push(line.slice(0, -1));
      return undefined;
    }
    this.#lines.push(line);
    return this.#inBlock ? undefined : this.end();
  }

  /** Ends the message here, for instance at the end of the input; undefined if none has begun. */
  end(): string | undefined {
    const message = this.#lines.length > 0 ? this.#lines.join('\n') : undefined;
    this.clear();
    return message;
  }

  /** Forgets what has been typed of a message. */
  clear(): void {
    this.#lines = [];
    this.#inBlock = false;
  }
}
