import { randomStream } from './random-stream.ts';

/** Some tokens, told by an id: whatever has the same id begins with the same tokens. */
export interface Span {
  readonly id: number;
  readonly numTokens: number;
}

/** A request of a trace: when it comes, whose it is, and what it says, as far as it matters to a cache. */
export interface TraceRequest {
  readonly timestampMs: number;
  /** Requests of different tenants share nothing. */
  readonly tenant: string;
  readonly prompt: readonly Span[];
  /** What the model is going to answer. */
  readonly output: Span;
}

/** Odd, so that different ids are different seeds; ids in a row then have seeds far apart. */
const SCATTER = 0x9e3779b1;

/**
 * The tokens of a span: the same for the same id, and those of a shorter span are the first of a longer one.
 *
 * @param id below 2^32
 */
export function spanTokens({ id, numTokens }: Span, vocabularySize: number): number[] {
  const random = randomStream(Math.imul(id, SCATTER));
  return Array.from({ length: numTokens }, () => Math.floor(random() * vocabularySize));
}

/** The tokens of spans one after the other. */
export function tokensOf(spans: readonly Span[], vocabularySize: number): number[] {
  return spans.flatMap((span) => spanTokens(span, vocabularySize));
}

export function numTokensOf(spans: readonly Span[]): number {
  return spans.reduce((total, { numTokens }) => total + numTokens, 0);
}
