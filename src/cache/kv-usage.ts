import { elementsPerToken, type PageLayout } from './page-layout.ts';

/** What a number of tokens takes in a cache. */
export interface KvUsage {
  readonly numTokens: number;
  /** Sealed pages with their metadata, and the other tokens (sink, open page) in f16. */
  readonly bytes: number;
  /** What the same tokens take in f16. */
  readonly bytesF16: number;
  /** 0 where there are no tokens. */
  readonly bitsPerElement: number;
}

const BITS_PER_BYTE = 8;
const F16_BYTES = 2;

/**
 * Bytes that a sequence's tokens take; reserved but empty parts of open pages are not counted.
 *
 * @param sealedLayout layout of the sealed pages
 */
export function kvUsage(sealedLayout: PageLayout, numSealedPages: number, numTokens: number): KvUsage {
  const numElements = elementsPerToken(sealedLayout.shape);
  const numSealedTokens = numSealedPages * sealedLayout.numTokens;
  if (numSealedTokens > numTokens) {
    throw new RangeError(`${numSealedPages} sealed pages hold more than ${numTokens} tokens`);
  }
  const f16TokenBytes = numElements * F16_BYTES;
  const bytes = numSealedPages * sealedLayout.pageBytes + (numTokens - numSealedTokens) * f16TokenBytes;
  const bitsPerElement = numTokens === 0 ? 0 : (BITS_PER_BYTE * bytes) / (numTokens * numElements);
  return { numTokens, bytes, bytesF16: numTokens * f16TokenBytes, bitsPerElement };
}
