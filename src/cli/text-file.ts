import { readFile } from 'node:fs/promises';
import { KvantError } from '../errors.ts';

/**
 * Reads a file of UTF-8 text; a byte order mark is dropped.
 *
 * @throws KvantError FILE_ERROR if the file cannot be read, holds NUL bytes or is not UTF-8
 */
export async function readTextFile(path: string): Promise<string> {
  return decodeText(await readBytes(path), `"${path}"`);
}

/** The bytes of a file. @throws KvantError FILE_ERROR */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new KvantError('FILE_ERROR', `cannot read "${path}": ${fileErrorReason(error)}`, { cause: error });
  }
}

/**
 * Decodes UTF-8 strictly.
 *
 * @param source what the bytes came from, for the error
 * @throws KvantError FILE_ERROR, naming the source
 */
export function decodeText(bytes: Uint8Array, source: string): string {
  const nulOffset = bytes.indexOf(0);
  if (nulOffset >= 0) {
    throw new KvantError('FILE_ERROR', `${source} is binary (byte ${nulOffset} is NUL): give a file of UTF-8 text`);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new KvantError('FILE_ERROR', `${source} is not UTF-8: convert it, for instance with iconv -t UTF-8`, {
      cause: error,
    });
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EISDIR: 'it is a directory',
  ENOTDIR: 'a part of the path is not a directory',
  ENOSPC: 'no space left on the device',
  EDQUOT: 'the disk quota is exceeded',
  EROFS: 'the file system is read-only',
  EFBIG: 'the file would be too large',
  EMFILE: 'too many open files',
};

/** Why a file operation failed, in words. */
export function fileErrorReason(error: unknown): string {
  const code = errorCode(error);
  if (code !== undefined && Object.hasOwn(REASONS, code)) return REASONS[code];
  return error instanceof Error ? error.message : String(error);
}

/** The system's code of an error, such as `ENOENT`. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
