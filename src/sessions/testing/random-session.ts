import { normalStream, uniformStream } from '../../../test/random-data.ts';
import type { KvpHeader, KvpSource } from '../kvp-header.ts';
import type { KvpPage } from '../kvp-pages.ts';

export interface RandomSessionOptions {
  readonly seed?: number;
  readonly numPages?: number;
  /** Tokens after the last page. */
  readonly numTailTokens?: number;
  readonly withSink?: boolean;
  readonly sealedPageBytes?: number;
  readonly changes?: Partial<KvpHeader>;
}

/** A session with a header as engines make it and pages of Gaussian floats. */
export function randomSession({
  seed = 1,
  numPages = 2,
  numTailTokens = 5,
  withSink = true,
  sealedPageBytes = 128,
  changes = {},
}: RandomSessionOptions = {}): { readonly header: KvpHeader; readonly pages: readonly KvpPage[] } {
  const pageSize = 4;
  const numSinkTokens = withSink ? 2 : 0;
  const sinkPageBytes = withSink ? 64 : 0;
  const uniform = uniformStream(seed);
  const tokens = Uint32Array.from({ length: numSinkTokens + numPages * pageSize + numTailTokens }, () =>
    Math.floor(uniform() * 0x1_0000_0000),
  );
  const normal = normalStream(seed);
  const floats = (numBytes: number): Uint8Array =>
    new Uint8Array(Float32Array.from({ length: numBytes / 4 }, normal).buffer);
  const pages = Array.from({ length: numPages }, (_, index) => ({
    sealed: floats(sealedPageBytes),
    ...(index === 0 && withSink && { sink: floats(sinkPageBytes) }),
  }));
  const header: KvpHeader = {
    identity: 'a'.repeat(64),
    modelName: 'Random Model',
    modelFingerprint: `sha256:${'b'.repeat(64)}`,
    kvFormat: 'q4',
    layoutVersion: 1,
    createdAt: '2026-01-31T12:00:00.000Z',
    kvantVersion: '0.1.0',
    ...{ pageSize, numSinkTokens, sealedPageBytes, sinkPageBytes, tokens, numPages },
    ...changes,
  };
  return { header, pages };
}

/** A file that lies in memory. */
export function memorySource(bytes: Uint8Array, name = 'test.kvp'): KvpSource {
  return {
    name,
    sizeBytes: bytes.length,
    read: (offset, numBytes) => Promise.resolve(Uint8Array.from(bytes.subarray(offset, offset + numBytes))),
  };
}

/** All pieces in one. */
export async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return Uint8Array.from(all.flatMap((piece) => [...piece]));
}
