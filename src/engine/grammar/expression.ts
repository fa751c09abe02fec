/**
 * Grammars over bytes: what texts may look like, whatever tokens they are cut into. Context-free, since rules may name each other; a rule must not begin with
 * itself before it has taken a byte.
 */
export type Expression =
  | { readonly kind: 'byte'; readonly ranges: readonly ByteRange[] }
  | { readonly kind: 'sequence'; readonly items: readonly Expression[] }
  | { readonly kind: 'choice'; readonly items: readonly Expression[] }
  /** `max` times at most; as often as one likes where it is undefined. */
  | { readonly kind: 'repeat'; readonly item: Expression; readonly min: number; readonly max: number | undefined }
  | { readonly kind: 'rule'; readonly name: string };

/** From the first byte to the last one, both included. */
export type ByteRange = readonly [number, number];

export interface RuleSet {
  /** By name. */
  readonly rules: ReadonlyMap<string, Expression>;
  /** The rule of whole texts. */
  readonly root: string;
}

export const NOTHING: Expression = { kind: 'sequence', items: [] };

export function sequence(...items: readonly Expression[]): Expression {
  return { kind: 'sequence', items };
}

export function choice(...items: readonly Expression[]): Expression {
  return items.length === 1 ? items[0] : { kind: 'choice', items };
}

export function repeat(item: Expression, min: number, max?: number): Expression {
  return { kind: 'repeat', item, min, max };
}

export function optional(item: Expression): Expression {
  return repeat(item, 0, 1);
}

export function rule(name: string): Expression {
  return { kind: 'rule', name };
}

/** One byte. */
export function bytes(...ranges: readonly ByteRange[]): Expression {
  return { kind: 'byte', ranges };
}

/** One of these ASCII characters. */
export function oneOf(characters: string): Expression {
  return bytes(...[...characters].map((character): ByteRange => [character.charCodeAt(0), character.charCodeAt(0)]));
}

/** One character of a range of ASCII, ends included. */
export function ascii(first: string, last: string): Expression {
  return bytes([first.charCodeAt(0), last.charCodeAt(0)]);
}

/** Exactly this text, in UTF-8. */
export function literal(text: string): Expression {
  return sequence(...[...new TextEncoder().encode(text)].map((byte) => bytes([byte, byte])));
}
