import type { LengthLimits } from './draft-length.ts';

/** What drafts came to. */
export interface SpeculationStats {
  /** Tokens that were drafted and computed. */
  readonly drafted: number;
  readonly accepted: number;
  /** Steps with drafts. */
  readonly steps: number;
}

/**
 * Drafts for one sequence. In each step in which the sequence decodes: `draft`, compute the drafts as rows of the step, accept those that equal
 * what is sampled, `observe`.
 */
export interface Speculator {
  readonly stats: SpeculationStats;
  /**
   * @param tokens all of the sequence's, the one included that the step computes
   * @returns at most `limits.maxTokens` tokens that may follow; often none
   */
  draft(tokens: readonly number[], limits: LengthLimits): readonly number[] | Promise<readonly number[]>;
  /** What became of what `draft` returned; of as many of them as were computed, which may be fewer. */
  observe(outcome: DraftOutcome): void;
  /** Gives back what it keeps. */
  release(): void;
}

export interface DraftOutcome {
  readonly drafted: number;
  readonly accepted: number;
}

/** Counts outcomes. */
export class SpeculationCounter implements SpeculationStats {
  drafted = 0;
  accepted = 0;
  steps = 0;

  /** @throws RangeError if more were accepted than drafted */
  add({ drafted, accepted }: DraftOutcome): void {
    if (!(accepted >= 0 && accepted <= drafted)) throw new RangeError(`${accepted} of ${drafted} drafts were accepted`);
    if (drafted === 0) return;
    this.drafted += drafted;
    this.accepted += accepted;
    this.steps++;
  }
}
