import type { KvpHeader } from '../sessions/kvp-header.ts';
import type { KvpPage, KvpPageRead, KvpReport } from '../sessions/kvp-pages.ts';

type Pages = AsyncIterable<KvpPage> | Iterable<KvpPage>;

/** Where session files lie, on the platform that an engine runs on. */
export interface SessionFiles {
  /** Of Kvant, for headers. */
  version(): Promise<string>;
  /** Crash-safe: there is the old file or the new one. @throws KvantError FILE_ERROR, and what the pages' iterator throws */
  save(path: string, header: KvpHeader, pages: Pages): Promise<{ readonly numBytes: number }>;
  /** @throws KvantError FILE_ERROR, SESSION_INVALID, SESSION_MISMATCH for another version */
  open(path: string): Promise<SessionFile>;
  /** A folder of files that are found by their tokens. It need not exist. */
  folder(path: string): SessionFolder;
}

export interface SessionFile {
  readonly header: KvpHeader;
  /** Up to the first bad page. @returns how far they are good */
  readPages(visit: (page: KvpPageRead) => Promise<void> | void, numWanted?: number): Promise<KvpReport>;
  close(): Promise<void>;
}

export interface SessionFolder {
  /** The file with the longest beginning of a text. @throws KvantError FILE_ERROR */
  best(
    identity: string,
    tokens: Uint32Array,
  ): Promise<{ readonly path: string; readonly numPages: number } | undefined>;
  /** @throws KvantError FILE_ERROR, and what the pages' iterator throws */
  save(
    header: KvpHeader,
    pages: Pages,
    limitBytes?: number,
  ): Promise<{ readonly path: string; readonly numBytes: number; readonly removed: readonly string[] }>;
  markUsed(path: string): Promise<void>;
}
