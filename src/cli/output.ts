import { once } from 'node:events';
import { errorCode, fileErrorReason, KvantError } from '../errors.ts';
import type { OutputStream } from './cli-context.ts';

/**
 * Standard output, which can be slow (writes wait for it) and whose reader may leave early, as `head` does: then `closed` aborts, and
 * what is written afterwards goes nowhere, without an error.
 */
export class Output {
  readonly #stream: OutputStream;
  readonly #closed = new AbortController();
  #failure: unknown;

  constructor(stream: OutputStream) {
    this.#stream = stream;
    stream.on('error', (error) => {
      if (errorCode(error) !== 'EPIPE') this.#failure = error;
      this.#closed.abort();
    });
  }

  /** Aborts once nobody reads any more. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /** Resolves when the stream takes more. @throws KvantError FILE_ERROR if the stream failed, for instance on a full disk */
  async write(text: string): Promise<void> {
    if (text !== '' && !this.closed.aborted && !this.#stream.write(text)) await this.#drained();
    this.check();
  }

  /** Resolves when everything has left the process. @throws KvantError FILE_ERROR */
  async flush(): Promise<void> {
    if (!this.closed.aborted) await new Promise<void>((resolve) => this.#stream.write('', () => resolve()));
    this.check();
  }

  /** @throws KvantError FILE_ERROR if the stream failed for another reason than that its reader left */
  check(): void {
    if (this.#failure === undefined) return;
    const reason = fileErrorReason(this.#failure);
    throw new KvantError('FILE_ERROR', `cannot write to stdout: ${reason}`, { cause: this.#failure });
  }

  async #drained(): Promise<void> {
    try {
      await once(this.#stream, 'drain', { signal: this.closed });
    } catch (error) {
      // `once` rejects with the stream's error or with the abort; the handler above has kept the former.
      if (!this.closed.aborted) throw error;
    }
  }
}
