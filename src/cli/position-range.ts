import * as z from 'zod';
import { KvantError } from '../errors.ts';

/** Prompt positions START, START + STEP, ... below END. Absent START is 0, absent END the length of the prompt. */
export interface PositionRange {
  readonly start: number | undefined;
  readonly end: number | undefined;
  readonly step: number;
}

const PATTERN = /^(\d*):(\d*)(?::(\d*))?$/;

/**
 * Reads `START:END:STEP`, half-open as Python's `range`, with the parts optional that are so in its slices (`1024:2048`, `::16`).
 */
export const positionRangeSchema: z.ZodType<PositionRange> = z.string().transform((text, context) => {
  const range = parseRange(text);
  if (typeof range !== 'string') return range;
  context.issues.push({ code: 'custom', message: range, input: text });
  return z.NEVER;
});

/** A range, or what is wrong with its text. */
function parseRange(text: string): PositionRange | string {
  const match = PATTERN.exec(text);
  if (!match) return 'must be START:END:STEP in whole numbers, as in 1024:2048:8';
  const [start, end, step = 1] = match.slice(1).map((part) => (part ? Number(part) : undefined));
  if (step === 0) return 'must have a STEP of at least 1';
  if (end !== undefined && (start ?? 0) >= end) return 'must have an END above its START';
  return { start, end, step };
}

/**
 * The positions of a range, ascending; without a range, the last position.
 *
 * @param numPositions tokens of the prompt
 * @throws KvantError INVALID_OPTION if the range goes beyond the prompt
 */
export function positionsOf(range: PositionRange | undefined, numPositions: number): number[] {
  if (!range) return [numPositions - 1];
  const { start = 0, end = numPositions, step } = range;
  if (end > numPositions || start >= end) {
    const positions = `the prompt has ${numPositions} tokens, at positions 0 to ${numPositions - 1}`;
    throw new KvantError('INVALID_OPTION', `--logits-at ${start}:${end}:${step}: ${positions}`);
  }
  return Array.from({ length: Math.ceil((end - start) / step) }, (_, index) => start + index * step);
}
