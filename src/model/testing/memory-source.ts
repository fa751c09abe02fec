import { KvantError } from '../../errors.ts';
import type { ByteSource } from '../byte-source.ts';

/** A file in memory. It tells whether it has been closed, and counts the bytes that were read. */
export class MemorySource implements ByteSource {
  readonly name = 'test.gguf';
  readonly sizeBytes: number;
  closed = false;
  bytesRead = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.sizeBytes = bytes.length;
  }

  async read(into: Uint8Array, offsetBytes: number): Promise<void> {
    if (this.closed) throw new KvantError('FILE_ERROR', 'closed');
    const end = offsetBytes + into.length;
    if (end > this.sizeBytes) throw new KvantError('MODEL_TRUNCATED', `ends before ${end}`);
    into.set(this.#bytes.subarray(offsetBytes, end));
    this.bytesRead += into.length;
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}
