import * as z from 'zod';

/** A whole number in a range, with the words that say so. */
export function wholeNumber(least: number, most: number): z.ZodInt {
  const rule = `must be a whole number from ${least} to ${most}`;
  return z.int(rule).min(least, rule).max(most, rule);
}

/** The same without an end. */
export function wholeNumberFrom(least: number): z.ZodInt {
  const rule = `must be a whole number of at least ${least}`;
  return z.int(rule).min(least, rule);
}
