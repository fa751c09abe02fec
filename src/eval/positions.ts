import { KvantError } from '../errors.ts';

/**
 * The positions START, START + STEP, ... below END of a text `START:END:STEP`, or `START:END` for a step of 1.
 *
 * @throws KvantError INVALID_OPTION if the text is no such range, or the range is empty
 */
export function parsePositions(text: string): number[] {
  const match = /^(\d+):(\d+)(?::(\d+))?$/.exec(text);
  const [start, end, step] = match ? [match[1], match[2], match[3] ?? '1'].map(Number) : [0, 0, 0];
  if (start >= end || step === 0 || !Number.isSafeInteger(end)) {
    const message = `positions "${text}" must be START:END or START:END:STEP with START below END and STEP at least 1, such as 1024:2048:16`;
    throw new KvantError('INVALID_OPTION', message);
  }
  return Array.from({ length: Math.ceil((end - start) / step) }, (_, i) => start + i * step);
}
