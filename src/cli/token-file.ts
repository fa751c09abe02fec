import { z } from 'zod';
import { KvantError } from '../errors.ts';
import { decodeText, readBytes } from './text-file.ts';

const tokenIds = z.array(z.int().min(0).max(0xffffffff));

/**
 * Reads a prompt given as token ids: 16-bit little-endian numbers where the name ends in `.u16`, otherwise a JSON array.
 * Whether the ids are in the vocabulary only the model can tell.
 *
 * @throws KvantError FILE_ERROR if the file cannot be read or holds anything else, or nothing
 */
export async function readTokenFile(path: string): Promise<number[]> {
  const bytes = await readBytes(path);
  const ids = path.endsWith('.u16') ? parseUint16(bytes, path) : parseJson(bytes, path);
  if (ids.length === 0) throw new KvantError('FILE_ERROR', `"${path}" holds no token: a prompt needs at least one`);
  return ids;
}

function parseUint16(bytes: Uint8Array, path: string): number[] {
  if (bytes.length % 2 !== 0) {
    throw new KvantError('FILE_ERROR', `"${path}" has ${bytes.length} bytes: a .u16 file has two bytes for each token`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / 2 }, (_, index) => view.getUint16(2 * index, true));
}

function parseJson(bytes: Uint8Array, path: string): number[] {
  const expected = 'expected a JSON array of token ids such as [1, 2, 3] (16-bit binary files end in .u16)';
  let value: unknown;
  try {
    value = JSON.parse(decodeText(bytes, `"${path}"`));
  } catch (error) {
    throw new KvantError('FILE_ERROR', `"${path}" is not JSON: ${expected}`, { cause: error });
  }
  const parsed = tokenIds.safeParse(value);
  if (parsed.success) return parsed.data;
  const index = parsed.error.issues[0].path[0];
  const where = typeof index === 'number' ? `element ${index} of "${path}" is not a token id` : `"${path}" is no array`;
  throw new KvantError('FILE_ERROR', `${where}: ${expected}`);
}
