import type { Segment, Step } from '../kernels/kernels.ts';
import type { PlannedSegment } from './scheduler.ts';
import { pagesOf, type SequenceState } from './sequence.ts';

/** A position whose logits a step gives, and the output row in which they are. */
export interface BatchOutput {
  readonly position: number;
  readonly outputRow: number;
}

/** What a step does for one sequence. */
export interface BatchEntry {
  readonly sequence: SequenceState;
  /** Tokens that were pending, and drafted ones after them. */
  readonly numTokens: number;
  readonly draft: readonly number[];
  readonly outputs: readonly BatchOutput[];
}

/** A step for the kernels, and whose rows are in it. */
export interface Batch {
  readonly step: Step;
  readonly entries: readonly BatchEntry[];
}

/**
 * Makes a step of planned segments. Reserves the pages that they need.
 *
 * @param sequences at least those that the plan names
 * @param numLargest of the logits of each row that will do; undefined: all are needed
 * @throws KvantError OUT_OF_MEMORY if there are too few free pages
 */
export function createBatch(
  plan: readonly PlannedSegment[],
  sequences: readonly SequenceState[],
  numLargest?: number,
): Batch {
  const tokenIds: number[] = [];
  const segments: Segment[] = [];
  const outputRows: number[] = [];
  const entries = reserveAll(plan, sequences).map(({ sequence, numTokens, numDraft }): BatchEntry => {
    const draft = sequence.draft.slice(0, numDraft);
    const segment = createSegment(sequence, numTokens + numDraft, tokenIds.length);
    segments.push(segment);
    const end = segment.firstPosition + numTokens;
    tokenIds.push(...sequence.tokens.slice(segment.firstPosition, end), ...draft);
    const outputs = outputPositions(sequence, segment.firstPosition, end, numDraft).map((position) => {
      outputRows.push(segment.firstRow + position - segment.firstPosition);
      return { position, outputRow: outputRows.length - 1 };
    });
    return { sequence, numTokens, draft, outputs };
  });
  return { step: { tokenIds, segments, outputRows, numLargest }, entries };
}

/** Whoever gets pages may move those of others, so that all get theirs before any place is noted down. */
function reserveAll(plan: readonly PlannedSegment[], sequences: readonly SequenceState[]) {
  const byId = new Map(sequences.map((sequence) => [sequence.id, sequence]));
  return plan.map(({ id, numTokens, numDraft }) => {
    const sequence = byId.get(id);
    if (!sequence) throw new RangeError(`the plan names sequence ${id}, which does not run`);
    pagesOf(sequence).reserve(numTokens + numDraft);
    return { sequence, numTokens, numDraft };
  });
}

function createSegment(sequence: SequenceState, numRows: number, firstRow: number): Segment {
  return { firstRow, numRows, pages: sequence.cache.pages, ...pagesOf(sequence).segment(numRows) };
}

/** Positions from `start` on whose logits someone wants: for log-probabilities, for the next token, or to check `numDraft` tokens from `end` on. */
function outputPositions(sequence: SequenceState, start: number, end: number, numDraft: number): number[] {
  const { request, tokens, maxLength, numLogProbsGiven } = sequence;
  const wanted = request.logProbsAt.slice(numLogProbsGiven);
  const positions = wanted.filter((position) => position >= start && position < end);
  const last = tokens.length - 1;
  const isNextTokenWanted = end === tokens.length && tokens.length < maxLength;
  if (isNextTokenWanted && positions.at(-1) !== last) positions.push(last);
  for (let i = 0; i < numDraft; i++) positions.push(end + i);
  return positions;
}
