import { KvantError } from '../errors.ts';
import { removeAbandoned } from '../sessions/atomic-file-node.ts';
import { removeFile, type CacheFolder, type StoredFile } from '../sessions/cache-folder-node.ts';
import { isKvpFile } from '../sessions/kvp-file-node.ts';
import { cacheFolder, statOf } from './cache-files.ts';
import type { CACHE_RM_FLAGS } from './cache-flags.ts';
import type { CliContext } from './cli-context.ts';
import type { OptionsOf } from './cli-options.ts';
import { EXIT } from './exit-code.ts';
import { formatBytes, formatQuantity } from './format.ts';
import { Output } from './output.ts';

/** What `--json` prints. */
export interface RemovedReport {
  readonly removed: readonly string[];
  readonly bytes: number;
  /** Files of the folder with such a name that are no session files. */
  readonly left: readonly string[];
}

type RmOptions = OptionsOf<typeof CACHE_RM_FLAGS>;

/**
 * Removes session files: those that are named, or those of the cache folder, all or the ones that were not used for long.
 *
 * @returns the exit code
 * @throws KvantError INVALID_OPTION if it is not clear which; FILE_ERROR, SESSION_INVALID before anything is removed if a named file is missing or
 *   no session file
 */
export async function cacheRm(paths: readonly string[], options: RmOptions, context: CliContext): Promise<number> {
  checkChoice(paths, options);
  const folder = cacheFolder(options.cacheDir, context);
  const chosen = paths.length > 0 ? { files: await filesNamed(paths), left: [] } : await filesOf(folder, options);
  for (const { path } of chosen.files) await removeFile(path);
  if (paths.length === 0) await removeAbandoned(folder.path);
  const bytes = chosen.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const report: RemovedReport = { removed: chosen.files.map(({ path }) => path), bytes, left: chosen.left };
  const output = new Output(context.stdout);
  const summary = `removed ${formatQuantity(report.removed.length, 'file')}, ${formatBytes(bytes)}`;
  await output.write(options.json ? `${JSON.stringify(report)}\n` : `${summary}\n`);
  for (const path of options.json ? [] : report.left) {
    context.stderr.write(`kvant: left "${path}": it is no session file\n`);
  }
  await output.flush();
  return EXIT.ok;
}

function checkChoice(paths: readonly string[], { all, olderThan }: RmOptions): void {
  const numWays = [paths.length > 0, all, olderThan !== undefined].filter(Boolean).length;
  if (numWays === 1) return;
  const what = 'files, --all, or --older-than AGE';
  const message = numWays === 0 ? `say what to remove: ${what}` : `say one of these only: ${what}`;
  throw new KvantError('INVALID_OPTION', message);
}

async function filesNamed(paths: readonly string[]): Promise<readonly StoredFile[]> {
  const files = new Map<string, StoredFile>();
  for (const path of paths) {
    const stats = await statOf(path);
    if (stats.isDirectory()) {
      const message = `"${path}" is a folder: name files, or give --all --cache-dir ${path}`;
      throw new KvantError('INVALID_OPTION', message);
    }
    if (!(await isKvpFile(path))) {
      throw new KvantError('SESSION_INVALID', `"${path}" is no session file of Kvant: nothing was removed`);
    }
    files.set(path, { path, sizeBytes: stats.size, usedAtMs: stats.mtimeMs });
  }
  return [...files.values()];
}

async function filesOf(
  folder: CacheFolder,
  { olderThan = 0 }: RmOptions,
): Promise<{ readonly files: readonly StoredFile[]; readonly left: readonly string[] }> {
  const before = Date.now() - olderThan;
  const files: StoredFile[] = [];
  const left: string[] = [];
  for (const entry of await folder.list()) {
    if (olderThan > 0 && entry.usedAtMs >= before) continue;
    const isSession = entry.header !== undefined || (await isKvpFile(entry.path).catch(() => false));
    if (isSession) files.push(entry);
    else left.push(entry.path);
  }
  return { files, left };
}
