import type { NeedleVariant } from './needle-task.ts';

/** What came of one needle in one trial. */
export interface NeedleScore {
  readonly variant: NeedleVariant;
  /** Tokens of context. */
  readonly length: number;
  /** 0 to 1. */
  readonly depth: number;
  readonly value: string;
  /** What was generated, greedily. */
  readonly answer: string;
  /** Whether that has the value, digit by digit. */
  readonly isRight: boolean;
  /** Of the right value, summed over its tokens, after the right ones before it. */
  readonly logProb: number;
}

/** The trials of a variant at a length and a depth. */
export interface NeedleCell {
  readonly variant: NeedleVariant;
  readonly length: number;
  readonly depth: number;
  readonly numTrials: number;
  readonly numRight: number;
  /** Mean over the trials. */
  readonly logProb: number;
  /** That less the mean of f16. */
  readonly logProbChange: number;
}

/** Whether an answer has the value as it is, and not as a part of a longer number; where only one was asked for, at its beginning. */
export function hasValue(answer: string, value: string, isOnlyOne: boolean): boolean {
  return new RegExp(`${isOnlyOne ? '^\\s*' : '(?<!\\d)'}${value}(?!\\d)`).test(answer);
}

/**
 * Scores by variant, length and depth, in the order in which these came first.
 *
 * @param reference the scores of f16, of the same needles in the same order
 */
export function needleCells(scores: readonly NeedleScore[], reference: readonly NeedleScore[]): NeedleCell[] {
  const groups = new Map<string, number[]>();
  for (const [i, { variant, length, depth }] of scores.entries()) {
    const key = JSON.stringify([variant, length, depth]);
    groups.set(key, [...(groups.get(key) ?? []), i]);
  }
  return [...groups.values()].map((indices) => {
    const { variant, length, depth } = scores[indices[0]];
    const mean = (of: readonly NeedleScore[]): number =>
      indices.reduce((sum, i) => sum + of[i].logProb, 0) / indices.length;
    return {
      variant,
      length,
      depth,
      numTrials: indices.length,
      numRight: indices.filter((i) => scores[i].isRight).length,
      logProb: mean(scores),
      logProbChange: mean(scores) - mean(reference),
    };
  });
}
