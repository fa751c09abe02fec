import type { GgufFile } from './gguf-file.ts';

/** Enough of every tensor that no two trainings share it, little enough to be read before a model loads. */
const SAMPLE_BYTES = 4096;

/**
 * Tells the weights of a model from those of any other: `sha256:` and 64 hexadecimal digits, over the name, type, shape and first 4 KiB of
 * every tensor, by name. Metadata and the order in the file do not count.
 *
 * @throws KvantError MODEL_TRUNCATED, FILE_ERROR
 */
export async function modelFingerprint(file: GgufFile): Promise<string> {
  const parts: Uint8Array[] = [];
  const names = [...file.tensors.keys()].sort();
  for (const name of names) {
    const tensor = file.tensors.get(name);
    if (!tensor) continue;
    const { type, shape, numBytes } = tensor;
    const sample = new Uint8Array(Math.min(SAMPLE_BYTES, numBytes));
    await file.tensorSource(name).read(sample, 0);
    parts.push(new TextEncoder().encode(JSON.stringify([name, type, shape])), sample);
  }
  const digest = await crypto.subtle.digest('SHA-256', concatenate(parts));
  return `sha256:${[...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}
