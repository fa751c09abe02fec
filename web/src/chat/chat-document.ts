/** A text that a message is about. */
export interface ChatDocument {
  readonly name: string;
  readonly text: string;
  readonly tokens: number;
}

/** Most bytes of a file; the context is what limits a text, this only what is read at all. */
export const MAX_DOCUMENT_BYTES = 2_000_000;

/** Tokens that stay free for the question and its answer. */
const ROOM_FOR_ANSWER = 256;

/** What is wrong with a file; the message says what to do. */
export class DocumentError extends Error {
  override readonly name = 'DocumentError';
}

/** The text of a file. @throws DocumentError where it is too large, or no text in UTF-8 */
export async function readText(file: File): Promise<string> {
  if (file.size > MAX_DOCUMENT_BYTES) {
    throw new DocumentError(
      `${file.name} has ${megabytes(file.size)} MB; at most ${megabytes(MAX_DOCUMENT_BYTES)} MB are read. Split it, or drop in a part.`,
    );
  }
  const bytes = await file.arrayBuffer();
  const text = decode(bytes);
  if (text === undefined || text.includes('\0')) {
    throw new DocumentError(
      `${file.name} is no text in UTF-8. Drop in plain text, Markdown or source code; save other documents as text first.`,
    );
  }
  if (text.trim() === '') throw new DocumentError(`${file.name} is empty.`);
  return text;
}

/** @throws DocumentError where a text leaves no room for an answer in a context of `ctx` tokens */
export function checkFits(name: string, tokens: number, ctx: number): void {
  if (tokens + ROOM_FOR_ANSWER <= ctx) return;
  throw new DocumentError(
    `${name} has ${count(tokens)} tokens; the context holds ${count(ctx)}, of which ${count(ROOM_FOR_ANSWER)} stay free for the answer. ` +
      'Drop in a shorter part, or start the server with a larger --ctx.',
  );
}

/** A message about a document: the document first, so that other questions about it share its pages. */
export function withDocument({ name, text }: ChatDocument, message: string): string {
  return `Document "${name}":\n\n${text.trim()}\n\nEnd of the document.\n\n${message}`.trimEnd();
}

function decode(bytes: ArrayBuffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}
