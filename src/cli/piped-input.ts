import { addAbortSignal } from 'node:stream';
import timers from 'node:timers/promises';
import { fileErrorReason, KvantError } from '../errors.ts';
import type { InputStream } from './cli-context.ts';
import { decodeText } from './text-file.ts';

/** Whether the input sent something, ended without, or has not sent anything yet. */
export type PipedInput =
  { readonly kind: 'text'; readonly text: string } | { readonly kind: 'empty' } | { readonly kind: 'silent' };

/**
 * Reads what is piped into the program, to its end. One line break at the end is dropped, as shells do.
 *
 * @param patienceMs how long to wait for the first byte; for ever where undefined. Some programs start others with a pipe as stdin that
 *   they never write to nor close: who can do without the input should not wait for it.
 * @throws KvantError FILE_ERROR if it cannot be read or is no UTF-8 text
 * @throws DOMException AbortError
 */
export async function readPipedInput(
  stdin: InputStream,
  patienceMs: number | undefined,
  signal: AbortSignal,
): Promise<PipedInput> {
  if (stdin.isTTY) return { kind: 'empty' };
  addAbortSignal(signal, stdin);
  const chunks: Uint8Array[] = [];
  const patience = new AbortController();
  try {
    const iterator = stdin[Symbol.asyncIterator]() as AsyncIterator<string | Uint8Array>;
    const first = iterator.next();
    const silent =
      patienceMs === undefined ? first : timers.setTimeout(patienceMs, undefined, { signal: patience.signal });
    let item = await Promise.race([first, silent]);
    if (item === undefined) {
      stdin.destroy();
      await first.catch(() => undefined);
      return { kind: 'silent' };
    }
    for (; !item.done; item = await iterator.next()) chunks.push(Buffer.from(item.value));
  } catch (error) {
    signal.throwIfAborted();
    throw new KvantError('FILE_ERROR', `cannot read stdin: ${fileErrorReason(error)}`, { cause: error });
  } finally {
    patience.abort();
  }
  const text = decodeText(Buffer.concat(chunks), 'stdin').replace(/\r?\n$/, '');
  return text.trim() === '' ? { kind: 'empty' } : { kind: 'text', text };
}
