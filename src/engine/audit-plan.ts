import type { KvShape } from '../cache/page-layout.ts';
import { unitsOfSequence } from '../cache/sequence-pages.ts';
import { parseKvFormat, tileBits, type KvFormat } from '../quant/kv-format.ts';
import { sequenceBytes, type KvCache } from './kv-memory.ts';

/** Tokens of a request that are run again, the first ones. */
export const MAX_AUDIT_TOKENS = 1024;
/** Positions of an answer that are compared, the last ones. */
const MAX_AUDIT_POSITIONS = 64;

/** A request that has ended with an answer. */
export interface AnsweredRequest {
  /** The prompt, then the answer. */
  readonly tokens: readonly number[];
  readonly numPromptTokens: number;
  readonly format: KvFormat;
  readonly tenant: string;
}

/** What is run again of a request, and where it is compared. */
export interface AuditPlan {
  readonly tokens: readonly number[];
  /** Ascending; after each of them a token of the answer was chosen, with sealed pages in sight. */
  readonly positions: readonly number[];
}

/** Bytes of the pages that an audit takes: those of two sequences, in a format and in f16. */
export function auditBytes(format: KvFormat, shape: KvShape, ctx: number): number {
  const numTokens = Math.min(ctx, MAX_AUDIT_TOKENS);
  const reference = parseKvFormat('f16', shape.headDim);
  return [format, reference].reduce((total, each) => total + sequenceBytes(each, shape, numTokens), 0);
}

/**
 * Chooses what an audit compares.
 *
 * @param caches of the request's format and of the reference
 * @param numUnits of page memory that both share
 * @returns undefined where there is nothing to compare: the format quantizes nothing, or no part of the answer that fits saw a sealed page
 */
export function planAudit(
  { tokens, numPromptTokens, format }: AnsweredRequest,
  caches: readonly KvCache[],
  numUnits: number,
): AuditPlan | undefined {
  if (isExact(format, caches[0].sealedLayout.shape.numLayers)) return undefined;
  const unitsOf = (length: number): number =>
    caches.reduce((total, { shape }) => total + unitsOfSequence(shape, length), 0);
  // The last token was chosen, but nothing after it.
  let numTokens = Math.min(tokens.length - 1, MAX_AUDIT_TOKENS);
  while (numTokens > 0 && unitsOf(numTokens) > numUnits) numTokens--;
  const first = Math.max(numPromptTokens - 1, format.numSinkTokens + format.pageSize, numTokens - MAX_AUDIT_POSITIONS);
  if (first >= numTokens) return undefined;
  const positions = Array.from({ length: numTokens - first }, (_, i) => first + i);
  return { tokens: tokens.slice(0, numTokens), positions };
}

function isExact(format: KvFormat, numLayers: number): boolean {
  return Array.from({ length: numLayers }).every(
    (_, layer) => tileBits(format, 'k', layer) === 16 && tileBits(format, 'v', layer) === 16,
  );
}
