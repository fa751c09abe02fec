import { MatchAcceptance } from './acceptance.ts';
import { chooseDraftLength, costOfDraft, DraftCredit, type LengthLimits } from './draft-length.ts';
import { PromptLookup } from './prompt-lookup.ts';
import { SpeculationCounter, type DraftOutcome, type Speculator } from './speculator.ts';
import type { StepCosts } from './step-costs.ts';

/** Drafts that were not computed, since there was no credit for them; what follows tells what they were worth. */
interface UncomputedDraft {
  readonly guess: readonly number[];
  /** Tokens of the sequence when it was made. */
  readonly length: number;
  readonly numOtherRows: number;
}

/** Drafts by prompt lookup. */
export class LookupSpeculator implements Speculator {
  readonly stats = new SpeculationCounter();
  readonly #costs: Pick<StepCosts, 'cost'>;
  readonly #acceptance = new MatchAcceptance();
  readonly #credit = new DraftCredit();
  readonly #lookup = new PromptLookup((evidence, isRight) => this.#acceptance.learn(evidence, isRight));
  #numTokens = 0;
  #numOtherRows = 0;
  #uncomputed: UncomputedDraft | undefined;

  /** @param costs of the engine that computes the drafts */
  constructor(costs: Pick<StepCosts, 'cost'>) {
    this.#costs = costs;
  }

  draft(tokens: readonly number[], limits: LengthLimits): readonly number[] {
    this.#lookup.follow(tokens);
    if (tokens.length < this.#numTokens) this.#uncomputed = undefined;
    this.#credit.earn(Math.max(0, tokens.length - this.#numTokens));
    this.#numTokens = tokens.length;
    this.#numOtherRows = limits.numOtherRows;
    this.#judgeUncomputed(tokens);
    const { evidence } = this.#lookup;
    if (!evidence || limits.maxTokens <= 0) return [];
    const { cost } = this.#costs;
    const length = chooseDraftLength((index) => this.#acceptance.chance(evidence, index), cost, limits);
    if (length === 0) return [];
    const affordable = this.#credit.mostDrafts(costOfDraft(cost, limits.numOtherRows));
    if (affordable > 0) {
      this.#uncomputed = undefined;
      return this.#lookup.guess(Math.min(length, affordable));
    }
    this.#uncomputed ??= {
      guess: this.#lookup.guess(length),
      length: tokens.length,
      numOtherRows: limits.numOtherRows,
    };
    return [];
  }

  observe(outcome: DraftOutcome): void {
    this.stats.add(outcome);
    if (outcome.drafted === 0) return;
    this.#credit.count(outcome.drafted, outcome.accepted, costOfDraft(this.#costs.cost, this.#numOtherRows));
  }

  release(): void {
    this.#lookup.release();
    this.#uncomputed = undefined;
    this.#numTokens = 0;
  }

  /** Once it is known how far a draft would have been right, it counts as if it had been computed. */
  #judgeUncomputed(tokens: readonly number[]): void {
    if (!this.#uncomputed) return;
    const { guess, length, numOtherRows } = this.#uncomputed;
    const wrong = guess.findIndex((token, i) => tokens[length + i] !== token);
    const numRight = wrong < 0 ? guess.length : wrong;
    if (length + numRight >= tokens.length && numRight < guess.length) return;
    this.#credit.count(guess.length, numRight, costOfDraft(this.#costs.cost, numOtherRows));
    this.#uncomputed = undefined;
  }
}
