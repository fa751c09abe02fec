import { createHash, randomBytes } from 'node:crypto';
import { open, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { errorCode, fileErrorReason, KvantError } from '../errors.ts';

/** As much of a file being written as is needed here, so that tests can let it fail. */
export interface WritableHandle {
  write(bytes: Uint8Array, offset: number, length: number): Promise<{ readonly bytesWritten: number }>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

export type OpenForWriting = (path: string, flags: string, mode: number) => Promise<WritableHandle>;

/** Conversations are nobody else's business; a file that is replaced keeps the mode it has. */
const NEW_FILE_MODE = 0o600;
const MODE_BITS = 0o777;

/** A temporary file tells who writes it: machine, process, and a random part. */
const TEMPORARY_NAME = /^\.kvant-([0-9a-f]{8})-(\d{1,10})-[0-9a-f]{12}\.tmp$/;
/** Where one cannot be asked for its writer (another machine), or the process of that number may be a new one. */
const ABANDONED_MS = 3_600_000;

/** What a file system without such a thing answers when a folder is to be synced. */
const NO_FOLDER_SYNC: readonly (string | undefined)[] = ['EINVAL', 'ENOTSUP', 'EBADF', 'EISDIR', 'EPERM', 'EACCES'];

/**
 * Writes a file so that at every moment, even when the process is killed or the machine stops, there is the old file or the new one,
 * whole: into a temporary file beside it, which is synced and then takes its name. A link is followed. What writers that are dead have
 * left in the folder is removed first.
 *
 * @returns bytes written
 * @throws KvantError FILE_ERROR if it cannot be written, for instance on a full disk, and what `chunks` throws; the old file is then what it was
 */
export async function writeAtomically(
  path: string,
  chunks: AsyncIterable<Uint8Array>,
  openFile: OpenForWriting = open,
): Promise<number> {
  const target = await orWriteError(path, () => resolveTarget(path));
  const folder = dirname(target.path);
  await removeAbandoned(folder);
  const temporaryPath = join(folder, temporaryName());
  const handle = await orWriteError(path, () => openFile(temporaryPath, 'wx', target.mode));
  try {
    const numBytes = await writeAll(path, handle, chunks);
    await orWriteError(path, () => rename(temporaryPath, target.path));
    await syncFolder(path, folder);
    return numBytes;
  } catch (error) {
    await rm(temporaryPath, { force: true }).catch(() => undefined);
    throw error;
  }
}

/** Removes temporary files whose writers are dead. What cannot be looked at or removed stays. */
export async function removeAbandoned(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names) {
    const path = join(folder, name);
    if (TEMPORARY_NAME.test(name) && (await isAbandoned(path))) await rm(path, { force: true }).catch(() => undefined);
  }
}

async function writeAll(path: string, handle: WritableHandle, chunks: AsyncIterable<Uint8Array>): Promise<number> {
  let numBytes = 0;
  try {
    for await (const chunk of chunks) {
      for (let offset = 0; offset < chunk.length;) {
        const start = offset;
        const write = () => handle.write(chunk, start, chunk.length - start);
        offset += (await orWriteError(path, write)).bytesWritten;
      }
      numBytes += chunk.length;
    }
    await orWriteError(path, () => handle.sync());
  } finally {
    await orWriteError(path, () => handle.close());
  }
  return numBytes;
}

/** Follows links, so that the file behind a link is replaced and not the link. */
async function resolveTarget(path: string): Promise<{ readonly path: string; readonly mode: number }> {
  try {
    const stats = await stat(path);
    if (stats.isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' });
    if (!stats.isFile()) throw new Error('it is no regular file');
    return { path: await realpath(path), mode: stats.mode & MODE_BITS };
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return { path, mode: NEW_FILE_MODE };
    throw error;
  }
}

/** Makes the new name last. A folder cannot be synced everywhere. */
async function syncFolder(path: string, folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (cause) {
    if (NO_FOLDER_SYNC.includes(errorCode(cause))) return;
    const message = `"${path}" is written, but may be lost if the machine stops now: ${fileErrorReason(cause)}. Check the disk`;
    throw new KvantError('FILE_ERROR', message, { cause });
  }
}

function temporaryName(): string {
  return `.kvant-${machine()}-${process.pid}-${randomBytes(6).toString('hex')}.tmp`;
}

function machine(): string {
  return createHash('sha256').update(hostname()).digest('hex').slice(0, 8);
}

async function isAbandoned(path: string): Promise<boolean> {
  const [, writersMachine, pid] = TEMPORARY_NAME.exec(basename(path)) ?? [];
  if (writersMachine === machine() && !isRunning(Number(pid))) return true;
  const stats = await stat(path).catch(() => undefined);
  return stats !== undefined && Date.now() - stats.mtimeMs > ABANDONED_MS;
}

function isRunning(pid: number): boolean {
  try {
    // Signal 0 only asks.
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) !== 'ESRCH';
  }
}

async function orWriteError<T>(path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    const fix = FIXES[errorCode(cause) ?? ''] ?? 'choose another file';
    const message = `cannot write "${path}": ${fileErrorReason(cause)}. What was there before is unchanged; ${fix}`;
    throw new KvantError('FILE_ERROR', message, { cause });
  }
}

const FULL = 'make room, or choose a file on another disk';
const FIXES: Readonly<Record<string, string>> = { ENOSPC: FULL, EDQUOT: FULL };
