import { numSealedPages, numTokensIn, type PageGeometry } from '../cache/sequence-pages.ts';
import { commonPrefixLength } from './common-prefix.ts';

/** A waiting request, as far as the cache may help it. */
export interface PrefixCandidate {
  /** Its prompt. */
  readonly tokens: readonly number[];
  /** Tokens of it that are in the cache now. */
  readonly numHitTokens: number;
  /** Identity of its pages (model, format, tenant): only pages of the same chain can be shared. */
  readonly chain: string;
}

/** A running sequence whose prompt is being computed. */
export interface RunningPrefill {
  /** Its prompt. */
  readonly tokens: readonly number[];
  readonly numComputed: number;
  readonly chain: string;
}

/**
 * Whether a waiting request should wait for pages that somebody computes right now, instead of computing the same ones
 * at the same time: a prompt that is being computed shares more full pages with it than the cache has, or is the same one,
 * whose last page can be copied as soon as it is there.
 *
 * It is never held back for ever: only by sequences that run, for pages that they have not computed yet, and each step
 * brings those nearer; a sequence that ends, is aborted or preempted is no longer among the `prefills`. A page that was
 * computed and is gone again holds nobody back. Others may pass while it waits.
 *
 * @param geometry of pages of the candidate's format
 */
export function heldBack(
  candidate: PrefixCandidate,
  prefills: readonly RunningPrefill[],
  geometry: PageGeometry,
): boolean {
  if (isLastPageCopied(candidate.tokens.length, geometry) && prefills.some((each) => isSame(candidate, each)))
    return true;
  const numHitPages = numSealedPages(geometry, candidate.numHitTokens);
  // The last token is computed in any case, since its logits say what comes next.
  const numUsable = numSealedPages(geometry, candidate.tokens.length - 1);
  if (numUsable <= numHitPages) return false;
  return prefills.some(({ tokens, numComputed, chain }) => {
    if (chain !== candidate.chain) return false;
    if (numSealedPages(geometry, tokens.length) <= numHitPages) return false;
    const numShared = numSealedPages(geometry, commonPrefixLength(candidate.tokens, tokens));
    const numAhead = Math.min(numShared, numUsable);
    return numAhead > numHitPages && numAhead > numSealedPages(geometry, numComputed);
  });
}

/** Whether the open page of a prompt is worth a copy: it has been sealed where the prompt fills it, and it may have no more than the token that is computed anyway. */
function isLastPageCopied(numTokens: number, geometry: PageGeometry): boolean {
  const numSealed = numSealedPages(geometry, numTokens);
  const start = numSealed === 0 ? geometry.numSinkTokens : numTokensIn(geometry, numSealed);
  return numTokens - 1 > start;
}

/** Whether one prompt is the other. */
export function isSame(
  { tokens, chain }: Pick<PrefixCandidate, 'tokens' | 'chain'>,
  other: Pick<RunningPrefill, 'tokens' | 'chain'>,
): boolean {
  if (chain !== other.chain || tokens.length !== other.tokens.length) return false;
  return commonPrefixLength(tokens, other.tokens) === tokens.length;
}
