import {
  ascii,
  bytes,
  choice,
  literal,
  NOTHING,
  oneOf,
  optional,
  repeat,
  rule,
  sequence,
  type Expression,
} from './expression.ts';
import { NUMBER } from './number-rules.ts';

/**
 * JSON as RFC 8259 has it, with these limits: between its parts there is at most one line break with up to 16 spaces, or one space, since a
 * model that may write spaces for ever may do so; strings write surrogates as characters only, so that they are always text; numbers have
 * up to 15 digits.
 */

export const ANY_VALUE = rule('any value');
export const ANY_OBJECT = rule('any object');
export const STRING = rule('string');
/** One code point of a string, which may be an escape. */
export const CHARACTER = rule('character');

const MAX_INDENT = 16;
const CONTINUATION = bytes([0x80, 0xbf]);
const HEX_DIGIT = choice(ascii('0', '9'), ascii('a', 'f'), ascii('A', 'F'));

/** Behind an opening bracket or a comma, and before a closing bracket. */
const GAP = rule('gap');

/** UTF-8 of the code points that need no escape (RFC 3629, without surrogates). */
const UNESCAPED = choice(
  bytes([0x20, 0x21], [0x23, 0x5b], [0x5d, 0x7f]),
  sequence(bytes([0xc2, 0xdf]), CONTINUATION),
  sequence(bytes([0xe0, 0xe0]), bytes([0xa0, 0xbf]), CONTINUATION),
  sequence(bytes([0xe1, 0xec], [0xee, 0xef]), CONTINUATION, CONTINUATION),
  sequence(bytes([0xed, 0xed]), bytes([0x80, 0x9f]), CONTINUATION),
  sequence(bytes([0xf0, 0xf0]), bytes([0x90, 0xbf]), CONTINUATION, CONTINUATION),
  sequence(bytes([0xf1, 0xf3]), CONTINUATION, CONTINUATION, CONTINUATION),
  sequence(bytes([0xf4, 0xf4]), bytes([0x80, 0x8f]), CONTINUATION, CONTINUATION),
);

const CODE_UNIT = choice(
  sequence(choice(ascii('0', '9'), oneOf('abcefABCEF')), repeat(HEX_DIGIT, 3, 3)),
  sequence(oneOf('dD'), ascii('0', '7'), repeat(HEX_DIGIT, 2, 2)),
);
const ESCAPED = sequence(literal('\\'), choice(oneOf('"\\/bfnrt'), sequence(literal('u'), CODE_UNIT)));

/** The rules that other expressions here name. */
export const JSON_RULES: ReadonlyMap<string, Expression> = new Map([
  ['gap', optional(choice(literal(' '), sequence(literal('\n'), repeat(literal(' '), 0, MAX_INDENT))))],
  ['character', choice(UNESCAPED, ESCAPED)],
  ['string', stringOf(0)],
  ['any object', mapOf(ANY_VALUE)],
  [
    'any value',
    choice(STRING, NUMBER, literal('true'), literal('false'), literal('null'), ANY_OBJECT, listOf(ANY_VALUE)),
  ],
]);

/** A string with so many code points. */
export function stringOf(min: number, max?: number): Expression {
  return quoted(repeat(CHARACTER, min, max));
}

export function quoted(content: Expression): Expression {
  return sequence(literal('"'), content, literal('"'));
}

/** An object with any names, each with such a value. */
export function mapOf(value: Expression): Expression {
  return braces(commaSeparated(member(STRING, value), 0));
}

export function listOf(item: Expression, min = 0, max?: number): Expression {
  return brackets(commaSeparated(item, min, max));
}

export function brackets(content: Expression): Expression {
  return sequence(literal('['), content, GAP, literal(']'));
}

export function braces(content: Expression): Expression {
  return sequence(literal('{'), content, GAP, literal('}'));
}

/** @param name of the member, a string of JSON */
export function member(name: Expression, value: Expression): Expression {
  return sequence(name, literal(':'), optional(literal(' ')), value);
}

/** The first one of a list. */
export function first(item: Expression): Expression {
  return sequence(GAP, item);
}

/** One more of a list. */
export function another(item: Expression): Expression {
  return sequence(literal(','), GAP, item);
}

function commaSeparated(item: Expression, min: number, max?: number): Expression {
  if (max === 0) return NOTHING;
  const list = sequence(
    first(item),
    repeat(another(item), Math.max(0, min - 1), max === undefined ? undefined : max - 1),
  );
  return min === 0 ? optional(list) : list;
}
