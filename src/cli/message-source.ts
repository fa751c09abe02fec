/** What somebody does who is asked for a message: gives one, presses Ctrl-C where there is nothing to take back, or leaves. */
export type MessageEvent =
  { readonly kind: 'message'; readonly text: string } | { readonly kind: 'interrupt' } | { readonly kind: 'end' };

/** Where a chat's messages come from: somebody at a terminal, or lines that are piped in. */
export interface MessageSource {
  /** Waits for what comes next. Meanwhile the terminal is the source's; otherwise it is the chat's. */
  next(): Promise<MessageEvent>;
  close(): void;
}
