/** Where a chat's messages come from: somebody at a terminal, or a file of lines. */
export interface MessageSource {
  /** The next message; undefined at the end. While it waits, the terminal is the source's; otherwise it is the chat's. */
  next(): Promise<string | undefined>;
  close(): void;
}
