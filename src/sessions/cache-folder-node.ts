import { mkdir, readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, fileErrorReason, KvantError } from '../errors.ts';
import { removeAbandoned } from './atomic-file-node.ts';
import { defaultCachePath } from './cache-path-node.ts';
import { KvpFile, saveKvp } from './kvp-file-node.ts';
import { sha256, type KvpHeader } from './kvp-header.ts';
import { kvpFileBytes, type KvpPage } from './kvp-pages.ts';

/** Most bytes of all files that the folder keeps: 2 GB. */
export const DEFAULT_CACHE_LIMIT_BYTES = 2e9;

/** A file as it lies in a folder. */
export interface StoredFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** When it was last used: the time of modification, in milliseconds since 1970. */
  readonly usedAtMs: number;
}

/** A session file, or why it is none that can be read. */
export type CacheEntry = StoredFile &
  (
    | { readonly header: KvpHeader; readonly error?: undefined }
    | { readonly header?: undefined; readonly error: KvantError }
  );

/** The file that holds most of a text. */
export interface CacheMatch extends StoredFile {
  readonly header: KvpHeader;
  /** Pages from the first on whose tokens are those of the text, at least 1. */
  readonly numPages: number;
  /** Tokens that these pages and the sink page hold. */
  readonly numTokens: number;
}

const SESSION_NAME = /\.kvp$/;
/** Files that the folder has named itself, and so may remove. */
const OWN_NAME = /^[0-9a-f]{16}-[0-9a-f]{32}\.kvp$/;

/**
 * A folder of session files of documents. Several processes may use it at once: files appear whole, and one that another process has
 * removed meanwhile counts as absent. Files that others have put there are found, but never removed by `makeRoom`.
 */
export class CacheFolder {
  readonly path: string;

  /** @param path need not exist (default: `defaultCachePath`) */
  constructor(path: string = defaultCachePath()) {
    this.path = path;
  }

  /**
   * All `.kvp` files in the folder, by name; only headers are read. None where there is no folder.
   *
   * @throws KvantError FILE_ERROR if the folder cannot be read
   */
  async list(): Promise<CacheEntry[]> {
    const entries: CacheEntry[] = [];
    for (const file of await this.#files(SESSION_NAME)) {
      const entry = await readCacheEntry(file);
      if (entry) entries.push(entry);
    }
    return entries;
  }

  /**
   * The file whose pages hold the longest beginning of a text, in whole pages; of equal ones the one that was used last.
   *
   * @param identity of the engine, 64 hexadecimal digits
   * @returns undefined if no file has a page of it
   * @throws KvantError FILE_ERROR if the folder cannot be read
   */
  async best(identity: string, tokens: Uint32Array): Promise<CacheMatch | undefined> {
    let best: CacheMatch | undefined;
    for (const { header, ...file } of await this.list()) {
      if (header?.identity !== identity) continue;
      const numPages = numCommonPages(header, tokens);
      if (numPages === 0 || numPages < (best?.numPages ?? 0)) continue;
      if (numPages === best?.numPages && file.usedAtMs <= best.usedAtMs) continue;
      const { path, sizeBytes, usedAtMs } = file;
      const numTokens = header.numSinkTokens + numPages * header.pageSize;
      best = { path, sizeBytes, usedAtMs, header, numPages, numTokens };
    }
    return best;
  }

  /** Where a text's file belongs: the same for the same identity and tokens. The folder need not exist. */
  async pathFor(identity: string, tokens: Uint32Array): Promise<string> {
    const digest = await sha256(new TextEncoder().encode(`${identity} ${tokens.join(' ')}`));
    const hex = Array.from(digest.subarray(0, 16), (byte) => byte.toString(16).padStart(2, '0')).join('');
    return join(this.path, `${identity.slice(0, 16)}-${hex}.kvp`);
  }

  /**
   * Removes the files that were not used for longest until there is room for so many bytes more. Only files that the folder has named.
   *
   * @returns what was removed, the oldest first
   * @throws KvantError FILE_ERROR, before anything is removed, if they are more than the limit; or if the folder cannot be read
   */
  async makeRoom(numBytes: number, limitBytes: number = DEFAULT_CACHE_LIMIT_BYTES): Promise<string[]> {
    if (numBytes > limitBytes) {
      const [needed, limit] = [numBytes, limitBytes].map((bytes) => `${(bytes / 1e6).toFixed(1)} MB`);
      const message = `${needed} are more than the cache folder "${this.path}" may hold (${limit}): save to a file of your own`;
      throw new KvantError('FILE_ERROR', message);
    }
    await removeAbandoned(this.path);
    const files = await this.#files(OWN_NAME);
    files.sort((a, b) => a.usedAtMs - b.usedAtMs);
    let heldBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const removed: string[] = [];
    for (const { path, sizeBytes } of files) {
      if (heldBytes + numBytes <= limitBytes) break;
      await removeFile(path);
      heldBytes -= sizeBytes;
      removed.push(path);
    }
    return removed;
  }

  /**
   * Makes room and saves under `pathFor`.
   *
   * @throws KvantError FILE_ERROR; what `saveKvp` throws
   */
  async save(
    header: KvpHeader,
    pages: AsyncIterable<KvpPage> | Iterable<KvpPage>,
    limitBytes?: number,
  ): Promise<{ readonly path: string; readonly numBytes: number; readonly removed: readonly string[] }> {
    await this.#create();
    const removed = await this.makeRoom(await kvpFileBytes(header), limitBytes);
    const path = await this.pathFor(header.identity, header.tokens);
    const { numBytes } = await saveKvp(path, header, pages);
    return { path, numBytes, removed };
  }

  /** Remembers that a file was used now. A folder that cannot be written keeps the order that it has. */
  async markUsed(path: string): Promise<void> {
    const now = new Date();
    await utimes(path, now, now).catch(() => undefined);
  }

  async #files(pattern: RegExp): Promise<StoredFile[]> {
    const files: StoredFile[] = [];
    for (const name of await this.#names()) {
      if (!pattern.test(name)) continue;
      const path = join(this.path, name);
      // Undefined for what another process has removed, and links to nowhere.
      const stats = await stat(path).catch(() => undefined);
      if (stats?.isFile()) files.push({ path, sizeBytes: stats.size, usedAtMs: stats.mtimeMs });
    }
    return files;
  }

  async #names(): Promise<string[]> {
    try {
      return (await readdir(this.path)).sort();
    } catch (cause) {
      if (errorCode(cause) === 'ENOENT') return [];
      throw this.#unusable('read', cause);
    }
  }

  async #create(): Promise<void> {
    try {
      await mkdir(this.path, { recursive: true, mode: 0o700 });
    } catch (cause) {
      throw this.#unusable('create', cause);
    }
  }

  #unusable(verb: string, cause: unknown): KvantError {
    const fix = 'set KVANT_CACHE_DIR to another folder';
    const message = `cannot ${verb} the cache folder "${this.path}": ${fileErrorReason(cause)}; ${fix}`;
    return new KvantError('FILE_ERROR', message, { cause });
  }
}

/** Reads a file's header. Undefined for a file that is gone. */
export async function readCacheEntry(file: StoredFile): Promise<CacheEntry | undefined> {
  try {
    const session = await KvpFile.open(file.path);
    await session.close();
    return { ...file, header: session.header };
  } catch (error) {
    if (!(error instanceof KvantError)) throw error;
    return errorCode(error.cause) === 'ENOENT' ? undefined : { ...file, error };
  }
}

/** @throws KvantError FILE_ERROR, unless the file is gone */
export async function removeFile(path: string): Promise<void> {
  try {
    await rm(path, { force: true });
  } catch (cause) {
    throw new KvantError('FILE_ERROR', `cannot remove "${path}": ${fileErrorReason(cause)}`, { cause });
  }
}

function numCommonPages({ tokens, numSinkTokens, pageSize, numPages }: KvpHeader, text: Uint32Array): number {
  let numCommon = 0;
  const most = Math.min(text.length, tokens.length);
  while (numCommon < most && tokens[numCommon] === text[numCommon]) numCommon++;
  return Math.max(0, Math.min(numPages, Math.floor((numCommon - numSinkTokens) / pageSize)));
}
