import type { StepCost } from './step-costs.ts';

export interface LengthLimits {
  /** Most tokens to draft. */
  readonly maxTokens: number;
  /** Rows of other sequences in the step. */
  readonly numOtherRows: number;
}

/** Least gain in tokens per millisecond for which anything is drafted: estimates err, and drafts have costs beyond rows. */
const LEAST_GAIN = 1.03;

/**
 * The number of tokens to draft that gives most tokens for the time: the largest (1 + o + E(n)) / (fixed + (1 + o + n) row + n draft), where E(n) is the
 * number of drafts that are expected to be accepted, each only if all before it are, and o the rows of others, which share the step's
 * fixed cost.
 *
 * @param chance that draft i is right if those before it are
 * @param draftMs that making a draft takes
 */
export function chooseDraftLength(
  chance: (index: number) => number,
  { fixedMs, rowMs }: StepCost,
  { maxTokens, numOtherRows }: LengthLimits,
  draftMs = 0,
): number {
  const numPlain = 1 + numOtherRows;
  const plainMs = fixedMs + numPlain * rowMs;
  let best = { length: 0, rate: (LEAST_GAIN * numPlain) / plainMs };
  let expected = 0;
  let reached = 1;
  for (let length = 1; length <= maxTokens; length++) {
    reached *= chance(length - 1);
    expected += reached;
    const rate = (numPlain + expected) / (plainMs + length * (rowMs + draftMs));
    if (rate > best.rate) best = { length, rate };
    // No later draft is likelier to be reached than this one, nor pays for its row.
    if (reached < best.rate * (rowMs + draftMs)) break;
  }
  return best.length;
}

/** Tokens that may be lost at first, and at most what gains are worth later. */
const FIRST_CREDIT = 0.75;
const MOST_CREDIT = 8;
const LEAST_CREDIT = -1;
/** Share of all tokens that may be lost. */
const LOSS_SHARE = 0.012;

/**
 * What drafts have gained and lost, in tokens that could have been computed for the time. Drafting stops when the credit is used up, so
 * that a text that defeats the estimates costs little, and goes on when drafts would have been right.
 */
export class DraftCredit {
  #credit = FIRST_CREDIT;

  /** Most drafts that can be paid for should all be wrong. @param draftCost in tokens, see `costOfDraft` */
  mostDrafts(draftCost: number): number {
    return Math.max(0, Math.floor(this.#credit / draftCost));
  }

  /** Counts drafts, or what would have become of them. */
  count(numDrafted: number, numAccepted: number, draftCost: number): void {
    this.#add(numAccepted - numDrafted * draftCost);
  }

  /** Counts tokens of the sequence, drafted or not. */
  earn(numTokens: number): void {
    this.#add(numTokens * LOSS_SHARE);
  }

  #add(numTokens: number): void {
    this.#credit = Math.min(MOST_CREDIT, Math.max(LEAST_CREDIT, this.#credit + numTokens));
  }
}

/** What a draft costs, in tokens that steps without drafts give for the time. @param draftMs that making it takes */
export function costOfDraft({ fixedMs, rowMs }: StepCost, numOtherRows: number, draftMs = 0): number {
  const numPlain = 1 + numOtherRows;
  return ((rowMs + draftMs) * numPlain) / (fixedMs + numPlain * rowMs);
}
