import { bytes, choice, literal, sequence, type Expression } from './expression.ts';

/** Sets of Unicode characters, and how strings of JSON write them. */

/** From the first code point to the last one, both included. */
export type CodePointRange = readonly [number, number];

/** All that a text can have: surrogates are halves of characters, not characters. */
const ALL: readonly CodePointRange[] = [
  [0, 0xd7ff],
  [0xe000, 0x10ffff],
];

/** The characters that are in none of the ranges. */
export function complement(ranges: readonly CodePointRange[]): readonly CodePointRange[] {
  const sorted = [...ranges].sort(([a], [b]) => a - b);
  return ALL.flatMap(([first, last]) => {
    const left: CodePointRange[] = [];
    let next = first;
    for (const [from, to] of sorted) {
      if (to < next || from > last) continue;
      if (from > next) left.push([next, from - 1]);
      next = to + 1;
    }
    return next <= last ? [...left, [next, last] as const] : left;
  });
}

/** The same in a set of characters only. */
export function withoutSurrogates(ranges: readonly CodePointRange[]): readonly CodePointRange[] {
  return complement(complement(ranges));
}

const SHORT_ESCAPES: ReadonlyMap<number, string> = new Map(
  [...'"\\\b\f\n\r\t'].map((character) => [character.charCodeAt(0), JSON.stringify(character).slice(1, -1)]),
);

/** What JSON writes as an escape: here in one way each, as `JSON.stringify` does. */
function mustBeEscaped(codePoint: number): boolean {
  return codePoint < 0x20 || SHORT_ESCAPES.has(codePoint);
}

/** One character of a set, as the inside of a JSON string has it. @returns undefined for an empty set */
export function characterOf(ranges: readonly CodePointRange[]): Expression | undefined {
  const set = withoutSurrogates(ranges);
  const escaped = Array.from({ length: 0x80 }, (_, codePoint) => codePoint)
    .filter(
      (codePoint) => mustBeEscaped(codePoint) && set.some(([first, last]) => codePoint >= first && codePoint <= last),
    )
    .map((codePoint) => literal(SHORT_ESCAPES.get(codePoint) ?? `\\u${codePoint.toString(16).padStart(4, '0')}`));
  const plain = complement([...complement(set), [0, 0x1f], [0x22, 0x22], [0x5c, 0x5c]]);
  const parts = [...plain.flatMap(([first, last]) => utf8Of(first, last)), ...escaped];
  return parts.length === 0 ? undefined : choice(...parts);
}

/** Last code points of each length of UTF-8. */
const LAST_OF_LENGTH = [0x7f, 0x7ff, 0xffff, 0x10ffff];

/** UTF-8 of a range of code points: sequences of ranges of bytes (as in Thompson's and Cox's "Regular expression matching", `Automata over bytes`). */
function utf8Of(first: number, last: number): Expression[] {
  const end = LAST_OF_LENGTH.find((most) => first <= most) ?? 0;
  if (last > end) return [...utf8Of(first, end), ...utf8Of(end + 1, last)];
  const [low, high] = [first, last].map((codePoint) => [...new TextEncoder().encode(String.fromCodePoint(codePoint))]);
  // Where leading bytes differ, what follows them must be free to take every value.
  for (let numFree = 1; numFree < low.length; numFree++) {
    const mask = (1 << (6 * numFree)) - 1;
    if ((first & ~mask) === (last & ~mask)) continue;
    if ((first & mask) !== 0) return [...utf8Of(first, first | mask), ...utf8Of((first | mask) + 1, last)];
    if ((last & mask) !== mask) return [...utf8Of(first, (last & ~mask) - 1), ...utf8Of(last & ~mask, last)];
  }
  return [sequence(...low.map((byte, index) => bytes([byte, high[index]])))];
}
