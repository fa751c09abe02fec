import { KvantError } from '../errors.ts';
import { alternatives } from './special-token-splitter.ts';

/** Blocks of private-use characters: [first, last]. */
const PRIVATE_USE = [
  [0xe000, 0xf8ff],
  [0xf0000, 0xffffd],
  [0x100000, 0x10fffd],
] as const;

/**
 * Finds the characters of a text that would be part of a special token once the text stands in a template.
 *
 * These are the first character of every special token that the text spells, in either case (a template may change it),
 * and the outermost characters where the text begins or ends in the middle of one, as the template or a neighbouring
 * text could supply the rest. Any special token found after these characters are disguised is the template's own.
 */
export class ContentGuard {
  readonly #pattern: RegExp | undefined;
  readonly #beginnings: ReadonlySet<string>;
  readonly #endings: ReadonlySet<string>;
  readonly #maxLength: number;

  /** @param specialTokens none of them empty */
  constructor(specialTokens: readonly string[]) {
    // A lookahead, so that occurrences that overlap are all found.
    this.#pattern = specialTokens.length === 0 ? undefined : new RegExp(`(?=${alternatives(specialTokens)})`, 'giu');
    const cuts = specialTokens.flatMap((token) =>
      Array.from({ length: token.length - 1 }, (_, i) => ({ token: token.toLowerCase(), at: i + 1 })),
    );
    this.#beginnings = new Set(cuts.map(({ token, at }) => token.slice(0, at)));
    this.#endings = new Set(cuts.map(({ token, at }) => token.slice(at)));
    this.#maxLength = Math.max(0, ...specialTokens.map((token) => token.length));
  }

  /** Indices (in UTF-16 units, ascending) of the characters to disguise; none for almost every text. */
  exposedIndices(text: string): number[] {
    const indices = new Set<number>();
    for (const match of this.#pattern === undefined ? [] : text.matchAll(this.#pattern)) indices.add(match.index);
    // Templates trim, so what counts is the outermost character that is no space.
    const withoutEnd = text.trimEnd();
    if (this.#endsPartway(text) || this.#endsPartway(withoutEnd)) {
      const last = [...withoutEnd.slice(-2)].at(-1);
      if (last !== undefined) indices.add(withoutEnd.length - last.length);
    }
    const withoutStart = text.trimStart();
    if ((this.#startsPartway(text) || this.#startsPartway(withoutStart)) && withoutStart !== '') {
      indices.add(text.length - withoutStart.length);
    }
    return [...indices].sort((a, b) => a - b);
  }

  #endsPartway(text: string): boolean {
    return this.#lengths(text).some((length) => this.#beginnings.has(text.slice(-length).toLowerCase()));
  }

  #startsPartway(text: string): boolean {
    return this.#lengths(text).some((length) => this.#endings.has(text.slice(0, length).toLowerCase()));
  }

  #lengths(text: string): number[] {
    return Array.from({ length: Math.min(text.length, this.#maxLength - 1) }, (_, i) => i + 1);
  }
}

/** Swaps characters for private-use ones that occur nowhere else, and back. */
export class Disguise {
  readonly #used: ReadonlySet<string>;
  readonly #disguiseOf = new Map<string, string>();
  readonly #originalOf = new Map<string, string>();
  readonly #candidates = privateUseCharacters();

  /** @param texts whatever may stand beside disguised text: their private-use characters are not used */
  constructor(texts: Iterable<string>) {
    const used = new Set<string>();
    for (const text of texts) {
      for (const [character] of text.matchAll(/\p{Co}/gu)) used.add(character);
    }
    this.#used = used;
  }

  /** The text with the characters at these indices (UTF-16 units, ascending) disguised. */
  hide(text: string, indices: readonly number[]): string {
    let hidden = '';
    let end = 0;
    for (const index of indices) {
      const original = String.fromCodePoint(text.codePointAt(index) ?? 0);
      hidden += text.slice(end, index) + this.#disguise(original);
      end = index + original.length;
    }
    return hidden + text.slice(end);
  }

  /** The text with every disguised character as it was. */
  reveal(text: string): string {
    if (this.#originalOf.size === 0) return text;
    return text.replace(/\p{Co}/gu, (character) => this.#originalOf.get(character) ?? character);
  }

  #disguise(original: string): string {
    const known = this.#disguiseOf.get(original);
    if (known !== undefined) return known;
    const character = this.#unusedCharacter();
    this.#disguiseOf.set(original, character);
    this.#originalOf.set(character, original);
    return character;
  }

  #unusedCharacter(): string {
    // Not `for of`, which would end the generator at the first character taken.
    for (let next = this.#candidates.next(); !next.done; next = this.#candidates.next()) {
      if (!this.#used.has(next.value)) return next.value;
    }
    throw new KvantError(
      'INVALID_OPTION',
      'The messages hold every private-use character of Unicode, and one is needed to keep special tokens in them apart. Remove one.',
    );
  }
}

function* privateUseCharacters(): Generator<string, undefined> {
  for (const [first, last] of PRIVATE_USE) {
    for (let codePoint = first; codePoint <= last; codePoint++) yield String.fromCodePoint(codePoint);
  }
}
