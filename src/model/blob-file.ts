import { KvantError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';
import { formatBytes, quote } from './messages.ts';

/** Bytes that a browser holds, in memory or wherever it keeps large ones: a file that was chosen, or a download. */
export class BlobFile implements ByteSource {
  readonly name: string;
  readonly sizeBytes: number;
  readonly #blob: Blob;

  constructor(name: string, blob: Blob) {
    this.name = name;
    this.sizeBytes = blob.size;
    this.#blob = blob;
  }

  async read(into: Uint8Array, offsetBytes: number): Promise<void> {
    const end = offsetBytes + into.length;
    if (end > this.sizeBytes) {
      const message = `${quote(this.name)} ends at ${formatBytes(this.sizeBytes)}, but ${formatBytes(end)} are needed: download it again`;
      throw new KvantError('MODEL_TRUNCATED', message);
    }
    try {
      into.set(new Uint8Array(await this.#blob.slice(offsetBytes, end).arrayBuffer()));
    } catch (cause) {
      // A file on the disk that has changed since it was chosen can no more be read.
      const message = `reading ${quote(this.name)} failed (${String(cause)}): choose the file again`;
      throw new KvantError('FILE_ERROR', message, { cause });
    }
  }

  /** A blob is let go with the last reference to it. */
  async close(): Promise<void> {}
}
