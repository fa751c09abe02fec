/**
 * What runs in the next step: pure functions over plain data. A sequence appears here as counts of tokens and pages
 * only.
 */

/** A running sequence: it has tokens that are not computed yet. */
export interface RunningSequence {
  readonly id: number;
  /** Tokens that are known but not computed: the rest of the prompt, or the newest token. */
  readonly numPending: number;
  /** Tokens until its open page is full: no segment goes beyond. */
  readonly numTokensToFull: number;
  /** Drafted tokens after the pending ones; 0 unless exactly one token is pending. */
  readonly numDraft: number;
}

export interface StepLimits {
  /** Most rows (tokens) of a step. At least as many as sequences run at a time, or the last of them wait. */
  readonly maxRows: number;
  /** Most prompt tokens of one sequence in a step. */
  readonly prefillChunk: number;
  /**
   * Most prompt tokens, of all sequences together, in a step in which somebody decodes: whoever reads an answer waits no
   * longer than those take. At least 1; Infinity for no such limit.
   */
  readonly maxPrefillRows: number;
}

/** The next `numTokens` tokens of a sequence, and as many of its drafted ones after them. */
export interface PlannedSegment {
  readonly id: number;
  readonly numTokens: number;
  readonly numDraft: number;
}

/**
 * Chooses the segments of the next step: first every sequence that waits for one token only (decodes), then prompts, in
 * the order given, as far as rows are left. Someone who reads an answer waits less that way than someone whose prompt
 * is long.
 *
 * Drafts get rows that decodes leave, before prompts do, but at most half of them while prompts want the other half, so
 * that no number of drafts holds up a prompt. Where rows are short the longest draft shrinks first. A segment with
 * drafts stays below the end of its open page, since sealing could not be undone; what goes beyond is cut.
 *
 * @returns at most one segment a sequence, together at most `maxRows` tokens; none only if nothing is pending
 * @throws RangeError for drafts of a sequence that does not decode, or `maxPrefillRows` below 1
 */
export function planStep(sequences: readonly RunningSequence[], limits: StepLimits): PlannedSegment[] {
  checkInput(sequences, limits);
  const pending = sequences.filter(({ numPending }) => numPending > 0);
  const decodes = pending.filter(({ numPending }) => numPending === 1).slice(0, limits.maxRows);
  const prefills = pending.filter(({ numPending }) => numPending > 1);
  const rowsLeft = limits.maxRows - decodes.length;
  const prefillRows = decodes.length > 0 ? Math.min(rowsLeft, limits.maxPrefillRows) : rowsLeft;
  const wanted = sum(prefills.map((prefill) => segmentLength(prefill, limits)));
  const reserved = Math.min(wanted, prefillRows, Math.ceil(rowsLeft / 2));
  const drafts = shareRows(decodes.map(longestDraft), rowsLeft - reserved);
  const plan = decodes.map(({ id }, index): PlannedSegment => ({ id, numTokens: 1, numDraft: drafts[index] }));
  return [...plan, ...planPrefills(prefills, Math.min(prefillRows, rowsLeft - sum(drafts)), limits)];
}

function checkInput(sequences: readonly RunningSequence[], { maxPrefillRows }: StepLimits): void {
  if (!(maxPrefillRows >= 1))
    throw new RangeError(`maxPrefillRows ${maxPrefillRows}: no prompt would ever be computed`);
  for (const { id, numPending, numDraft } of sequences) {
    if (numDraft === 0 || numPending === 1) continue;
    throw new RangeError(
      `sequence ${id} has ${numDraft} drafts after ${numPending} pending tokens: it does not decode`,
    );
  }
}

function planPrefills(prefills: readonly RunningSequence[], numRows: number, limits: StepLimits): PlannedSegment[] {
  const plan: PlannedSegment[] = [];
  let rowsLeft = numRows;
  for (const prefill of prefills) {
    const numTokens = Math.min(segmentLength(prefill, limits), rowsLeft);
    if (numTokens === 0) break;
    plan.push({ id: prefill.id, numTokens, numDraft: 0 });
    rowsLeft -= numTokens;
  }
  return plan;
}

/** Prompt tokens that a step may take of one sequence, if there are rows enough. */
function segmentLength({ numPending, numTokensToFull }: RunningSequence, { prefillChunk }: StepLimits): number {
  return Math.min(numPending, numTokensToFull, prefillChunk);
}

/** Drafts that a decode may have without filling its open page. */
function longestDraft({ numDraft, numTokensToFull }: RunningSequence): number {
  return Math.max(0, Math.min(numDraft, numTokensToFull - 2));
}

/** Shares rows so that no share grows while a smaller one wants more: the largest wishes are cut first. */
function shareRows(wishes: readonly number[], numRows: number): number[] {
  const shares = wishes.map(() => 0);
  let rowsLeft = numRows;
  const ascending = wishes.map((_, index) => index).sort((a, b) => wishes[a] - wishes[b] || b - a);
  ascending.forEach((index, rank) => {
    // Of an uneven rest the one that comes first in the order given gets more: it is the last here among equals.
    const fairShare = Math.floor(rowsLeft / (ascending.length - rank));
    shares[index] = Math.min(wishes[index], fairShare);
    rowsLeft -= shares[index];
  });
  return shares;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
