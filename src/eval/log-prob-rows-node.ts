import { readFile } from 'node:fs/promises';
import { KvantError } from '../errors.ts';

/**
 * Reads rows of little-endian float32 log-probabilities [positions, vocabulary], as `kvant generate --logits` writes them.
 *
 * @throws KvantError FILE_ERROR if the file cannot be read or does not hold exactly these rows
 */
export async function readLogProbRows(
  path: string,
  positions: readonly number[],
  vocabularySize: number,
): Promise<ReadonlyMap<number, Float32Array>> {
  const bytes = await readBytes(path);
  const rowBytes = vocabularySize * Float32Array.BYTES_PER_ELEMENT;
  if (bytes.length !== positions.length * rowBytes) {
    const expected = `${positions.length} positions of ${vocabularySize} float32 numbers take ${positions.length * rowBytes}`;
    throw new KvantError(
      'FILE_ERROR',
      `"${path}" has ${bytes.length} bytes, but ${expected}: give the positions it was written with`,
    );
  }
  const numbers = new Float32Array(new Uint8Array(bytes).buffer);
  return new Map(
    positions.map((position, i) => [position, numbers.subarray(i * vocabularySize, (i + 1) * vocabularySize)]),
  );
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new KvantError('FILE_ERROR', `cannot read "${path}": ${(cause as Error).message}`, { cause });
  }
}
