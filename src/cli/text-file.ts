import { readFile } from 'node:fs/promises';
import { fileErrorReason, KvantError } from '../errors.ts';

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
