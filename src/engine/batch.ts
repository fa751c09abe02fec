import type { Segment, Step, StepPages } from '../kernels/kernels.ts';
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
  readonly numTokens: number;
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
 * @throws KvantError OUT_OF_MEMORY if there are too few free pages
 */
export function createBatch(
  plan: readonly PlannedSegment[],
  sequences: readonly SequenceState[],
  pages: StepPages,
): Batch {
  const tokenIds: number[] = [];
  const segments: Segment[] = [];
  const outputRows: number[] = [];
  const byId = new Map(sequences.map((sequence) => [sequence.id, sequence]));
  const entries = plan.map(({ id, numTokens }): BatchEntry => {
    const sequence = byId.get(id);
    if (!sequence) throw new RangeError(`the plan names sequence ${id}, which does not run`);
    const segment = createSegment(sequence, numTokens, tokenIds.length, pages);
    segments.push(segment);
    const end = segment.firstPosition + numTokens;
    for (const token of sequence.tokens.slice(segment.firstPosition, end)) tokenIds.push(token);
    const outputs = outputPositions(sequence, segment.firstPosition, end).map((position) => {
      outputRows.push(segment.firstRow + position - segment.firstPosition);
      return { position, outputRow: outputRows.length - 1 };
    });
    return { sequence, numTokens, outputs };
  });
  return { step: { tokenIds, segments, outputRows }, entries };
}

function createSegment(sequence: SequenceState, numTokens: number, firstRow: number, pages: StepPages): Segment {
  const owned = pagesOf(sequence);
  owned.reserve(numTokens);
  return { firstRow, numRows: numTokens, pages, ...owned.segment(numTokens) };
}

/** Positions in [start, end) whose logits someone wants: for log-probabilities, or for the next token. */
function outputPositions({ request, tokens, maxLength }: SequenceState, start: number, end: number): number[] {
  const positions = request.logProbsAt.filter((position) => position >= start && position < end);
  const last = tokens.length - 1;
  const isNextTokenWanted = end === tokens.length && tokens.length < maxLength;
  if (isNextTokenWanted && positions.at(-1) !== last) positions.push(last);
  return positions;
}
