import { characterOf, complement, type CodePointRange } from './code-points.ts';
import { choice, NOTHING, repeat, sequence, type Expression } from './expression.ts';
import { CHARACTER } from './json-rules.ts';

/** Why a pattern cannot be used, to come after its name. */
export class PatternError extends Error {}

const MAX_COUNT = 10_000;

const DIGITS: readonly CodePointRange[] = [[0x30, 0x39]];
const WORD: readonly CodePointRange[] = [...DIGITS, [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]];
const LINE_ENDS: readonly CodePointRange[] = [
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029],
];
/** WhiteSpace and LineTerminator of ECMA-262. */
const SPACES: readonly CodePointRange[] = [
  ...([
    [0x09, 0x0d],
    [0x20, 0x20],
    [0xa0, 0xa0],
    [0x1680, 0x1680],
    [0x2000, 0x200a],
  ] as const),
  ...([
    [0x2028, 0x2029],
    [0x202f, 0x202f],
    [0x205f, 0x205f],
    [0x3000, 0x3000],
    [0xfeff, 0xfeff],
  ] as const),
];
const CLASS_ESCAPES: Readonly<Record<string, readonly CodePointRange[]>> = {
  ...{ d: DIGITS, w: WORD, s: SPACES },
  ...{ D: complement(DIGITS), W: complement(WORD), S: complement(SPACES) },
};
const CONTROL_ESCAPES: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, '0': 0 };

/**
 * The inside of the JSON strings that a regular expression finds something in: ECMA-262 with the flag `u`, as JSON Schema wants it, without
 * what is not regular (back references, look-around) and without word boundaries, Unicode properties, and anchors within a pattern.
 *
 * @throws PatternError
 */
export function patternRule(pattern: string): Expression {
  try {
    new RegExp(pattern, 'u');
  } catch {
    throw new PatternError('is no regular expression: check its syntax');
  }
  return new PatternParser(pattern).parse();
}

/** Of a pattern that is known to be a regular expression. */
class PatternParser {
  readonly #characters: readonly string[];
  #next = 0;

  constructor(pattern: string) {
    this.#characters = [...pattern];
  }

  parse(): Expression {
    const anywhere = repeat(CHARACTER, 0);
    const alternatives: Expression[] = [];
    do {
      const isAtStart = this.#take('^');
      const content = this.#alternative();
      const isAtEnd = this.#take('$');
      if (isAtEnd && !this.#isAtEndOf('|'))
        throw new PatternError('has an anchor in its middle: it may begin with ^ and end with $');
      alternatives.push(sequence(isAtStart ? NOTHING : anywhere, content, isAtEnd ? NOTHING : anywhere));
    } while (this.#take('|'));
    return choice(...alternatives);
  }

  #disjunction(): Expression {
    const alternatives = [this.#alternative()];
    while (this.#take('|')) alternatives.push(this.#alternative());
    return choice(...alternatives);
  }

  #alternative(): Expression {
    const terms: Expression[] = [];
    while (!this.#isAtEndOf('|', ')', '$')) terms.push(this.#quantified(this.#atom()));
    return sequence(...terms);
  }

  #isAtEndOf(...ends: readonly string[]): boolean {
    return this.#next >= this.#characters.length || ends.includes(this.#characters[this.#next]);
  }

  #atom(): Expression {
    const character = this.#read();
    if (character === '(') return this.#group();
    if (character === '[') return inSet(this.#class());
    if (character === '.') return inSet(complement(LINE_ENDS));
    if (character === '\\') return inSet(this.#escape());
    if (character === '^') throw new PatternError('has an anchor in its middle: it may begin with ^ and end with $');
    return inSet(single(character));
  }

  #group(): Expression {
    if (this.#take('?')) {
      const kind = this.#read();
      if (kind === '<' && !this.#isAtEndOf('=', '!')) while (this.#read() !== '>') continue;
      else if (kind !== ':') throw new PatternError('looks ahead or behind, which is not supported');
    }
    const content = this.#disjunction();
    if (!this.#take(')')) throw new PatternError('has an anchor in its middle: it may begin with ^ and end with $');
    return content;
  }

  #quantified(atom: Expression): Expression {
    const bounds = this.#bounds();
    if (!bounds) return atom;
    // Whether it takes little or much first makes no difference to what it allows.
    this.#take('?');
    const [min, max] = bounds;
    if (Math.max(min, max ?? 0) > MAX_COUNT) throw new PatternError(`repeats something more than ${MAX_COUNT} times`);
    return repeat(atom, min, max);
  }

  #bounds(): readonly [number, number | undefined] | undefined {
    if (this.#take('*')) return [0, undefined];
    if (this.#take('+')) return [1, undefined];
    if (this.#take('?')) return [0, 1];
    if (!this.#take('{')) return undefined;
    let text = '';
    for (let character = this.#read(); character !== '}'; character = this.#read()) text += character;
    const [min, max] = text.split(',');
    if (max === undefined) return [Number(min), Number(min)];
    return [Number(min), max === '' ? undefined : Number(max)];
  }

  #class(): readonly CodePointRange[] {
    const isNegated = this.#take('^');
    const ranges: CodePointRange[] = [];
    while (!this.#take(']')) {
      const first = this.#classAtom();
      const isRange = this.#characters[this.#next] === '-' && this.#characters[this.#next + 1] !== ']';
      if (!isRange) {
        ranges.push(...first);
        continue;
      }
      this.#read();
      const last = this.#classAtom();
      ranges.push([first[0][0], last[0][1]]);
    }
    return isNegated ? complement(ranges) : ranges;
  }

  #classAtom(): readonly CodePointRange[] {
    const character = this.#read();
    if (character !== '\\') return single(character);
    // In a class it is a backspace, not a boundary.
    return this.#take('b') ? [[8, 8]] : this.#escape();
  }

  #escape(): readonly CodePointRange[] {
    const character = this.#read();
    if (character in CLASS_ESCAPES) return CLASS_ESCAPES[character];
    if (character in CONTROL_ESCAPES) return [[CONTROL_ESCAPES[character], CONTROL_ESCAPES[character]]];
    if (character === 'x') return this.#hex(2);
    if (character === 'u') return this.#unicodeEscape();
    if (/[A-Za-z1-9]/.test(character)) throw new PatternError(`has \\${character}, which is not supported`);
    return single(character);
  }

  #unicodeEscape(): readonly CodePointRange[] {
    if (!this.#take('{')) return this.#hex(4);
    let digits = '';
    for (let digit = this.#read(); digit !== '}'; digit = this.#read()) digits += digit;
    const codePoint = Number.parseInt(digits, 16);
    return [[codePoint, codePoint]];
  }

  #hex(numDigits: number): readonly CodePointRange[] {
    const digits = Array.from({ length: numDigits }, () => this.#read()).join('');
    const codePoint = Number.parseInt(digits, 16);
    if (codePoint >= 0xd800 && codePoint <= 0xdfff)
      throw new PatternError('has half a surrogate pair: write \\u{...} instead');
    return [[codePoint, codePoint]];
  }

  #take(character: string): boolean {
    if (this.#characters[this.#next] !== character) return false;
    this.#next++;
    return true;
  }

  #read(): string {
    return this.#characters[this.#next++] ?? '';
  }
}

function single(character: string): readonly CodePointRange[] {
  const codePoint = character.codePointAt(0) ?? 0;
  return [[codePoint, codePoint]];
}

function inSet(ranges: readonly CodePointRange[]): Expression {
  const expression = characterOf(ranges);
  if (!expression) throw new PatternError('has a class without any character');
  return expression;
}
