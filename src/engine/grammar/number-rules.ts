import {
  ascii,
  bytes,
  choice,
  literal,
  NOTHING,
  oneOf,
  optional,
  repeat,
  sequence,
  type Expression,
} from './expression.ts';

/**
 * Digits that a number has at most. Different decimal numbers of up to 15 digits are different float64 numbers (IEEE 754), so that no
 * bound is crossed by rounding, and none is infinite.
 */
export const MAX_DIGITS = 15;
/** Integers go up to this. */
export const MAX_INTEGER = 10 ** MAX_DIGITS - 1;

export interface NumberBounds {
  readonly min: number;
  readonly max: number;
  /** Whether the bounds themselves are left out. */
  readonly isMinOpen: boolean;
  readonly isMaxOpen: boolean;
}

const DIGIT = ascii('0', '9');

/** Any number that JSON can write, as far as it has 15 digits each before and behind its point; with an exponent, it is up to 10^114. */
export const NUMBER: Expression = sequence(
  optional(literal('-')),
  choice(literal('0'), sequence(ascii('1', '9'), repeat(DIGIT, 0, MAX_DIGITS - 1))),
  optional(sequence(literal('.'), repeat(DIGIT, 1, MAX_DIGITS))),
  optional(sequence(oneOf('eE'), optional(oneOf('+-')), repeat(DIGIT, 1, 2))),
);

/** Integers between two bounds, which belong to them. @returns undefined if there is none */
export function integersBetween(min: number, max: number): Expression | undefined {
  return decimalsBetween({ min, max, isMinOpen: false, isMaxOpen: false }, 0);
}

/** Decimal numbers between two bounds, without exponents. @returns undefined if there is none */
export function numbersBetween(bounds: NumberBounds): Expression | undefined {
  return decimalsBetween(bounds, MAX_DIGITS);
}

/** Whether a number can be written with digits and a point alone, as bounds must be. */
export function isPlainDecimal(value: number): boolean {
  return Math.abs(value) <= MAX_INTEGER && !String(value).includes('e');
}

function decimalsBetween(
  { min, max, isMinOpen, isMaxOpen }: NumberBounds,
  maxFraction: number,
): Expression | undefined {
  const parts: Expression[] = [];
  if (min < 0) {
    // There is no minus zero: it would be an integer that many a reader does not expect.
    const least = max < 0 ? { value: -max, isOpen: isMaxOpen } : { value: 0, isOpen: true };
    const magnitudes = magnitudesBetween(least, { value: -min, isOpen: isMinOpen }, maxFraction);
    if (magnitudes) parts.push(sequence(literal('-'), magnitudes));
  }
  if (max >= 0) {
    const least = min > 0 ? { value: min, isOpen: isMinOpen } : { value: 0, isOpen: min === 0 && isMinOpen };
    const magnitudes = magnitudesBetween(least, { value: max, isOpen: isMaxOpen }, maxFraction);
    if (magnitudes) parts.push(magnitudes);
  }
  return parts.length === 0 ? undefined : choice(...parts);
}

/** An end of a range of numbers that are not negative. */
interface Bound {
  readonly value: number;
  readonly isOpen: boolean;
}

function magnitudesBetween(least: Bound, most: Bound, maxFraction: number): Expression | undefined {
  if (least.value > most.value) return undefined;
  const parts: Expression[] = [];
  for (let length = 1; length <= MAX_DIGITS; length++) {
    const shortest = length === 1 ? 0 : 10 ** (length - 1);
    const longest = 10 ** length;
    if (most.value < shortest || least.value >= longest) continue;
    const from = least.value >= shortest ? least : { value: shortest, isOpen: false };
    const to = most.value < longest ? most : { value: longest, isOpen: true };
    const writer = new DecimalWriter(from, to, length, Math.min(maxFraction, MAX_DIGITS - length));
    const written = writer.write();
    if (written) parts.push(written);
  }
  return parts.length === 0 ? undefined : choice(...parts);
}

/** Where in its digits a number is, and whether those before are all equal to the bounds'. */
interface DigitPlace {
  readonly index: number;
  readonly isLeast: boolean;
  readonly isMost: boolean;
}

/** Decimal numbers between two bounds with a number of digits before the point, written digit by digit. */
class DecimalWriter {
  readonly #least: readonly number[];
  readonly #most: readonly number[];
  readonly #from: Bound;
  readonly #to: Bound;
  readonly #numWhole: number;
  readonly #numDigits: number;

  constructor(from: Bound, to: Bound, numWhole: number, numFraction: number) {
    this.#from = from;
    this.#to = to;
    this.#numWhole = numWhole;
    this.#numDigits = numWhole + numFraction;
    this.#least = digitsOf(from.value, numWhole);
    this.#most = digitsOf(to.value, numWhole);
  }

  write(): Expression | undefined {
    // A bound of one digit more stands for the end of this length.
    const isMost = this.#to.value < 10 ** this.#numWhole;
    return this.#digits({ index: 0, isLeast: true, isMost });
  }

  #digits(place: DigitPlace): Expression | undefined {
    if (place.index !== this.#numWhole) return this.#digitsFrom(place);
    const fraction = this.#digit(place);
    const parts = this.#canEnd(place) ? [NOTHING] : [];
    if (fraction) parts.push(sequence(literal('.'), fraction));
    return parts.length === 0 ? undefined : choice(...parts);
  }

  #digitsFrom(place: DigitPlace): Expression | undefined {
    const isFraction = place.index > this.#numWhole;
    const more = this.#digit(place);
    if (!isFraction || !this.#canEnd(place)) return more;
    return more ? choice(NOTHING, more) : NOTHING;
  }

  /** One more digit and what may follow it. */
  #digit({ index, isLeast, isMost }: DigitPlace): Expression | undefined {
    if (index >= this.#numDigits) return undefined;
    const low = isLeast ? (this.#least[index] ?? 0) : 0;
    const high = isMost ? (this.#most[index] ?? 0) : 9;
    const parts: Expression[] = [];
    const add = (first: number, last: number): void => {
      if (first > last) return;
      const rest = this.#digits({
        index: index + 1,
        isLeast: isLeast && first === low,
        isMost: isMost && last === high,
      });
      if (rest) parts.push(sequence(bytes([0x30 + first, 0x30 + last]), rest));
    };
    if (low === high) add(low, high);
    else if (low < high) {
      const firstFree = isLeast ? low + 1 : low;
      const lastFree = isMost ? high - 1 : high;
      if (isLeast) add(low, low);
      this.#addFree(firstFree, lastFree, index, parts);
      if (isMost) add(high, high);
    }
    return parts.length === 0 ? undefined : choice(...parts);
  }

  /** Digits behind which all others may follow. */
  #addFree(first: number, last: number, index: number, parts: Expression[]): void {
    if (first > last) return;
    const numWholeLeft = Math.max(0, this.#numWhole - index - 1);
    const numFraction = this.#numDigits - Math.max(this.#numWhole, index + 1);
    const isWhole = index < this.#numWhole;
    const fraction = isWhole
      ? optional(sequence(literal('.'), repeat(DIGIT, 1, numFraction)))
      : repeat(DIGIT, 0, numFraction);
    const rest = numFraction === 0 ? NOTHING : fraction;
    parts.push(sequence(bytes([0x30 + first, 0x30 + last]), repeat(DIGIT, numWholeLeft, numWholeLeft), rest));
  }

  /** Whether a number may end here: as if all other digits were zeros. */
  #canEnd({ index, isLeast, isMost }: DigitPlace): boolean {
    const isEqualToLeast = this.#least.slice(index).every((digit) => digit === 0);
    const isEqualToMost = this.#most.slice(index).every((digit) => digit === 0);
    if (isLeast && (!isEqualToLeast || this.#from.isOpen)) return false;
    return !(isMost && isEqualToMost && this.#to.isOpen);
  }
}

/** Digits of a number, with zeros before it up to a number of digits before the point. */
function digitsOf(value: number, numWhole: number): number[] {
  const [whole, fraction = ''] = String(value).split('.');
  return [...whole.padStart(numWhole, '0'), ...fraction].map(Number);
}
