import { open, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { KvantError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';
import { formatBytes, quote } from './messages.ts';

/** Most bytes of one read call: far below the 2 GiB that the system call takes, and enough to run at full speed. */
const MAX_READ_BYTES = 64 * 2 ** 20;

/**
 * Opens a local file. The handle stays open until `close`.
 *
 * @throws KvantError MODEL_NOT_FOUND if there is no regular file at the path, FILE_ERROR if it cannot be opened
 */
export async function openLocalFile(path: string): Promise<ByteSource> {
  try {
    // Looked at before it is opened, since opening a pipe would wait for its other end.
    const stats = await stat(path);
    if (!stats.isFile()) {
      const kind = stats.isDirectory() ? 'a directory' : 'not a regular file';
      throw new KvantError('MODEL_NOT_FOUND', `${quote(path)} is ${kind}: give the path of a .gguf file`);
    }
    return new LocalFile(path, stats.size, await open(path, 'r'));
  } catch (error) {
    throw error instanceof KvantError ? error : cannotOpen(path, error);
  }
}

function cannotOpen(path: string, cause: unknown): KvantError {
  const code = errorCode(cause);
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    const message = `there is no model file at ${quote(path)}: check the path, or download the model first`;
    return new KvantError('MODEL_NOT_FOUND', message, { cause });
  }
  const message = `the model file ${quote(path)} cannot be opened (${code}): check that you may read it`;
  return new KvantError('FILE_ERROR', message, { cause });
}

class LocalFile implements ByteSource {
  readonly name: string;
  readonly sizeBytes: number;
  readonly #handle: FileHandle;

  constructor(name: string, sizeBytes: number, handle: FileHandle) {
    this.name = name;
    this.sizeBytes = sizeBytes;
    this.#handle = handle;
  }

  async read(into: Uint8Array, offsetBytes: number): Promise<void> {
    let filled = 0;
    while (filled < into.length) {
      const wanted = Math.min(into.length - filled, MAX_READ_BYTES);
      const bytesRead = await this.#readOnce(into, filled, wanted, offsetBytes + filled);
      if (bytesRead === 0) throw this.#shrunk(offsetBytes + into.length, offsetBytes + filled);
      filled += bytesRead;
    }
  }

  async #readOnce(into: Uint8Array, at: number, length: number, position: number): Promise<number> {
    try {
      return (await this.#handle.read(into, at, length, position)).bytesRead;
    } catch (cause) {
      const message = `reading ${quote(this.name)} failed at byte ${position} (${errorCode(cause)}): check the disk`;
      throw new KvantError('FILE_ERROR', message, { cause });
    }
  }

  #shrunk(expectedBytes: number, realBytes: number): KvantError {
    const message =
      `${quote(this.name)} ends at ${formatBytes(realBytes)}, but ${formatBytes(expectedBytes)} are needed ` +
      '(did it change while it was read?): download it again';
    return new KvantError('MODEL_TRUNCATED', message);
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
