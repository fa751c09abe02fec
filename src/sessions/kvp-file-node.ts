import { open, stat, type FileHandle } from 'node:fs/promises';
import { fileErrorReason, KvantError } from '../errors.ts';
import { writeAtomically, type OpenForWriting } from './atomic-file-node.ts';
import { hasMagic, readKvpHead, type KvpHead, type KvpHeader, type KvpSource } from './kvp-header.ts';
import { encodeKvp, readKvpPages, type KvpPage, type KvpPageRead, type KvpReport } from './kvp-pages.ts';

/** Enough to see what a file is. */
const MAGIC_BYTES = 8;

/**
 * Writes a session file, crash-safe: see `writeAtomically`. One page is held at a time.
 *
 * @throws KvantError FILE_ERROR; RangeError if header and pages contradict each other; what the pages' iterator throws. In all cases the
 *   old file is whole
 */
export async function saveKvp(
  path: string,
  header: KvpHeader,
  pages: AsyncIterable<KvpPage> | Iterable<KvpPage>,
  openFile?: OpenForWriting,
): Promise<{ readonly numBytes: number }> {
  return { numBytes: await writeAtomically(path, encodeKvp(header, pages), openFile) };
}

/** An open session file. It stays what it is even if another one takes its name meanwhile. */
export class KvpFile {
  readonly #source: FileSource;
  readonly #head: KvpHead;

  private constructor(source: FileSource, head: KvpHead) {
    this.#source = source;
    this.#head = head;
  }

  /** @throws KvantError FILE_ERROR if it cannot be opened or read; SESSION_INVALID, SESSION_MISMATCH as `readKvpHead` */
  static async open(path: string): Promise<KvpFile> {
    const source = await FileSource.open(path);
    try {
      return new KvpFile(source, await readKvpHead(source));
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  get header(): KvpHeader {
    return this.#head.header;
  }

  get sizeBytes(): number {
    return this.#source.sizeBytes;
  }

  /** See `readKvpPages`. @returns how far the pages are good */
  readPages(visit: (page: KvpPageRead) => Promise<void> | void, numWanted?: number): Promise<KvpReport> {
    return readKvpPages(this.#source, this.#head, visit, numWanted);
  }

  close(): Promise<void> {
    return this.#source.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Reads all of a file and tells how far its pages are good. @throws KvantError as `KvpFile.open` */
export async function verifyKvp(path: string): Promise<{ readonly header: KvpHeader; readonly report: KvpReport }> {
  const file = await KvpFile.open(path);
  try {
    return { header: file.header, report: await file.readPages(() => undefined) };
  } finally {
    await file.close();
  }
}

/** Whether a file starts as a session file does, be it whole or not. @throws KvantError FILE_ERROR */
export async function isKvpFile(path: string): Promise<boolean> {
  const source = await FileSource.open(path);
  try {
    return hasMagic(await source.read(0, MAGIC_BYTES));
  } finally {
    await source.close();
  }
}

class FileSource implements KvpSource {
  readonly name: string;
  readonly sizeBytes: number;
  readonly #handle: FileHandle;

  private constructor(name: string, sizeBytes: number, handle: FileHandle) {
    this.name = name;
    this.sizeBytes = sizeBytes;
    this.#handle = handle;
  }

  static async open(path: string): Promise<FileSource> {
    let handle: FileHandle | undefined;
    try {
      // Looked at before it is opened, since opening a pipe would wait for its other end.
      if (!(await stat(path)).isFile()) throw new Error('it is no regular file');
      handle = await open(path, 'r');
      // Of the file that is open: another one may have taken the name.
      return new FileSource(path, (await handle.stat()).size, handle);
    } catch (error) {
      await handle?.close();
      throw readError(path, error);
    }
  }

  async read(offsetBytes: number, numBytes: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(Math.max(0, Math.min(numBytes, this.sizeBytes - offsetBytes)));
    let filled = 0;
    while (filled < bytes.length) {
      const { bytesRead } = await this.#readOnce(bytes, filled, offsetBytes + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return bytes.subarray(0, filled);
  }

  async #readOnce(bytes: Uint8Array, at: number, position: number): Promise<{ readonly bytesRead: number }> {
    try {
      return await this.#handle.read(bytes, at, bytes.length - at, position);
    } catch (error) {
      throw readError(this.name, error);
    }
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

function readError(path: string, cause: unknown): KvantError {
  return new KvantError('FILE_ERROR', `cannot read "${path}": ${fileErrorReason(cause)}`, { cause });
}
