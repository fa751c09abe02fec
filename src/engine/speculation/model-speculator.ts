import { Acceptance } from './acceptance.ts';
import { chooseDraftLength, costOfDraft, DraftCredit, type LengthLimits } from './draft-length.ts';
import type { Drafter } from './drafter.ts';
import { SpeculationCounter, type DraftOutcome, type Speculator } from './speculator.ts';
import type { StepCosts } from './step-costs.ts';

/** Share of a model's drafts that is expected to be accepted at first, and its weight in drafts. */
const FIRST_CHANCE = 0.7;
const FIRST_WEIGHT = 6;
const DECAY = 0.96;
/** A draft's time at first, in steps of one row. */
const FIRST_DRAFT_SHARE = 0.15;
/** Weight of a new measurement of that, which counts as at most so many times what was known. */
const DRAFT_MS_WEIGHT = 0.2;
const MOST_SLOWER = 2;
/** Where drafts do not pay, one is tried after so many steps, and each time it fails after twice as many. */
const FIRST_PAUSE = 16;
const LONGEST_PAUSE = 512;
const NUM_TRIED = 2;

/**
 * Drafts by something that takes time itself. What it would have drafted is not known while it does not, so that it is tried again now
 * and then.
 */
export class ModelSpeculator implements Speculator {
  readonly stats = new SpeculationCounter();
  readonly #drafter: Drafter;
  readonly #costs: Pick<StepCosts, 'cost'>;
  readonly #now: () => number;
  readonly #acceptance = new Acceptance(FIRST_CHANCE, FIRST_WEIGHT, DECAY);
  readonly #credit = new DraftCredit();
  #draftMs: number | undefined;
  #numOtherRows = 0;
  #numTokens = 0;
  #pause = FIRST_PAUSE;
  /** Steps until drafts are tried again; 0 while they are made. */
  #stepsToTry = 0;

  /**
   * @param costs of the engine that computes the drafts
   * @param now milliseconds
   */
  constructor(drafter: Drafter, costs: Pick<StepCosts, 'cost'>, now: () => number) {
    this.#drafter = drafter;
    this.#costs = costs;
    this.#now = now;
  }

  async draft(tokens: readonly number[], limits: LengthLimits): Promise<readonly number[]> {
    this.#credit.earn(Math.max(0, tokens.length - this.#numTokens));
    this.#numTokens = tokens.length;
    this.#numOtherRows = limits.numOtherRows;
    if (limits.maxTokens <= 0) return [];
    const length = this.#chooseLength(limits);
    if (length === 0) return [];
    const startMs = this.#now();
    const drafts = await this.#drafter.propose(tokens, length);
    if (drafts.length > 0) this.#learnDraftMs((this.#now() - startMs) / drafts.length);
    // It has not taken in all of the sequence yet.
    else this.#stepsToTry = 1;
    return drafts;
  }

  observe(outcome: DraftOutcome): void {
    const { drafted, accepted } = outcome;
    this.stats.add(outcome);
    if (drafted === 0) return;
    for (let i = 0; i < accepted; i++) this.#acceptance.learn(true);
    if (accepted < drafted) this.#acceptance.learn(false);
    this.#credit.count(drafted, accepted, this.#draftCost(this.#numOtherRows));
  }

  release(): void {
    this.#drafter.release();
    this.#numTokens = 0;
  }

  #chooseLength(limits: LengthLimits): number {
    const affordable = this.#credit.mostDrafts(this.#draftCost(limits.numOtherRows));
    const length = chooseDraftLength(() => this.#acceptance.chance, this.#costs.cost, limits, this.#knownDraftMs());
    if (Math.min(length, affordable) > 0) {
      this.#pause = FIRST_PAUSE;
      this.#stepsToTry = 0;
      return Math.min(length, affordable);
    }
    if (this.#stepsToTry === 0) {
      this.#stepsToTry = this.#pause;
      this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE);
    }
    return --this.#stepsToTry === 0 ? Math.min(NUM_TRIED, limits.maxTokens) : 0;
  }

  #draftCost(numOtherRows: number): number {
    return costOfDraft(this.#costs.cost, numOtherRows, this.#knownDraftMs());
  }

  #knownDraftMs(): number {
    const { fixedMs, rowMs } = this.#costs.cost;
    return this.#draftMs ?? FIRST_DRAFT_SHARE * (fixedMs + rowMs);
  }

  #learnDraftMs(ms: number): void {
    const known = this.#draftMs;
    this.#draftMs = known === undefined ? ms : known + DRAFT_MS_WEIGHT * (Math.min(ms, MOST_SLOWER * known) - known);
  }
}
