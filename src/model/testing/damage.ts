import { uniformStream } from '../../../test/random-data.ts';
import { GgufFile } from '../gguf-file.ts';
import { MemorySource } from './memory-source.ts';

/** Bytes of a sound file before its first tensor. */
export async function headerBytesOf(bytes: Uint8Array): Promise<number> {
  const file = await GgufFile.open(new MemorySource(bytes));
  return Math.min(...[...file.tensors.values()].map(({ offsetBytes }) => offsetBytes));
}

/** Flips a few bits, overwrites a byte or a word, or cuts the file, mostly within the header. */
export function damage(bytes: Uint8Array, headerBytes: number, seed: number): Uint8Array {
  const uniform = uniformStream(seed);
  const below = (limit: number) => Math.floor(limit * uniform());
  const copy = bytes.slice();
  for (let change = 0; change <= below(4); change++) {
    const offset = below(headerBytes);
    if (uniform() < 0.4) copy[offset] ^= 1 << below(8);
    else if (uniform() < 0.5) copy[offset] = below(256);
    else copy.fill(uniform() < 0.5 ? 0xff : 0, offset, offset + 1 + below(8));
  }
  return uniform() < 0.2 ? copy.subarray(0, below(headerBytes)) : copy;
}
