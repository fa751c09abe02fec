import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isSamePage, storedBytes, type PageStore, type StoredPage } from '../cache/page-store.ts';
import type { ChainPage } from '../cache/prefix-chain.ts';
import type { PrefixKey } from '../cache/prefix-key.ts';
import { KvantError } from '../errors.ts';

/** What is known of a page without reading it. */
interface Entry extends ChainPage {
  readonly sealedBytes: number;
  readonly numBytes: number;
  readonly checksum: string;
}

/**
 * Keeps pages in files of a folder of its own, which is gone when the store is closed; the least recently used go first. Reading and
 * writing wait for the disk, between two steps: a page of a small model takes well under a millisecond, its computation a hundred.
 */
export class DiskPageStore implements PageStore {
  readonly #folder: string;
  readonly #maxBytes: number;
  readonly #entries = new Map<PrefixKey, Entry>();
  #numBytes = 0;

  /**
   * @param folder in which the store makes its own; the system's for temporary files where absent
   * @throws KvantError FILE_ERROR if the folder cannot be made
   */
  constructor(maxBytes: number, folder: string = tmpdir()) {
    this.#maxBytes = maxBytes;
    try {
      mkdirSync(folder, { recursive: true });
      this.#folder = mkdtempSync(join(folder, 'kvant-pages-'));
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new KvantError('FILE_ERROR', `cannot make a folder for swapped pages in "${folder}": ${reason}`, { cause });
    }
  }

  get numPages(): number {
    return this.#entries.size;
  }

  get numBytes(): number {
    return this.#numBytes;
  }

  has(page: ChainPage): boolean {
    const entry = this.#entries.get(page.key);
    return entry !== undefined && isSamePage(entry, page);
  }

  put(page: StoredPage): void {
    this.#delete(page.key);
    const numBytes = storedBytes(page);
    if (numBytes > this.#maxBytes) return;
    for (const key of this.#entries.keys()) {
      if (this.#numBytes + numBytes <= this.#maxBytes) break;
      this.#delete(key);
    }
    const { key, parent, root, tokens, tenant, sealed, sink } = page;
    const bytes = sink ? Buffer.concat([sealed, sink]) : sealed;
    try {
      writeFileSync(this.#path(key), bytes);
    } catch {
      // The disk may be full. A page that is not kept is computed again.
      this.#removeFile(key);
      return;
    }
    const checksum = checksumOf(bytes);
    this.#entries.set(key, { key, parent, root, tokens, tenant, sealedBytes: sealed.length, numBytes, checksum });
    this.#numBytes += numBytes;
  }

  get(page: ChainPage): StoredPage | undefined {
    const entry = this.#entries.get(page.key);
    if (!entry || !isSamePage(entry, page)) return undefined;
    const bytes = this.#read(entry);
    if (!bytes) {
      this.#delete(page.key);
      return undefined;
    }
    this.#entries.delete(page.key);
    this.#entries.set(page.key, entry);
    const { key, parent, root, tokens, tenant, sealedBytes, numBytes } = entry;
    const sink = numBytes > sealedBytes ? bytes.subarray(sealedBytes) : undefined;
    return { key, parent, root, tokens, tenant, sealed: bytes.subarray(0, sealedBytes), sink };
  }

  close(): void {
    this.#entries.clear();
    this.#numBytes = 0;
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Undefined if the file is gone or is not as it was written. */
  #read({ key, checksum }: Entry): Uint8Array | undefined {
    try {
      const bytes = readFileSync(this.#path(key));
      return checksumOf(bytes) === checksum ? bytes : undefined;
    } catch {
      return undefined;
    }
  }

  #delete(key: PrefixKey): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    this.#entries.delete(key);
    this.#numBytes -= entry.numBytes;
    this.#removeFile(key);
  }

  #removeFile(key: PrefixKey): void {
    try {
      rmSync(this.#path(key), { force: true });
    } catch {
      // Nobody reads it any more; it goes with the folder.
    }
  }

  #path(key: PrefixKey): string {
    return join(this.#folder, `${key}.page`);
  }
}

function checksumOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
