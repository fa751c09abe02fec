import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { fileErrorReason, KvantError } from '../errors.ts';
import { CacheFolder, readCacheEntry, type CacheEntry } from '../sessions/cache-folder-node.ts';
import { defaultCachePath } from '../sessions/cache-path-node.ts';
import type { CliContext } from './cli-context.ts';

/** Session files as a command line names them. */
export interface NamedFiles {
  readonly entries: readonly CacheEntry[];
  /** What was looked through, for messages. */
  readonly places: readonly string[];
}

/** The folder of `--cache-dir`, or the default one. */
export function cacheFolder(cacheDir: string | undefined, { env }: CliContext): CacheFolder {
  return new CacheFolder(cacheDir ?? defaultCachePath({ env }));
}

/**
 * Files, and those of folders; without any path those of the cache folder, which need not exist.
 *
 * @throws KvantError FILE_ERROR if a path does not exist or a folder cannot be read
 */
export async function namedFiles(
  paths: readonly string[],
  cacheDir: string | undefined,
  context: CliContext,
): Promise<NamedFiles> {
  const folder = cacheFolder(cacheDir, context);
  if (paths.length === 0) return { entries: await folder.list(), places: [folder.path] };
  const entries: CacheEntry[] = [];
  for (const path of paths) entries.push(...(await entriesAt(path)));
  return { entries, places: paths };
}

async function entriesAt(path: string): Promise<readonly CacheEntry[]> {
  const stats = await statOf(path);
  if (stats.isDirectory()) return new CacheFolder(path).list();
  const entry = await readCacheEntry({ path, sizeBytes: stats.size, usedAtMs: stats.mtimeMs });
  return entry ? [entry] : [];
}

/** @throws KvantError FILE_ERROR */
export async function statOf(path: string): Promise<Stats> {
  try {
    return await stat(path);
  } catch (cause) {
    throw new KvantError('FILE_ERROR', `cannot read "${path}": ${fileErrorReason(cause)}`, { cause });
  }
}
