/** A piece of text between special tokens, or a special token. */
export type Segment = { readonly text: string } | { readonly specialToken: string };

/** Finds special tokens in text: the leftmost first, and there the longest. */
export class SpecialTokenSplitter {
  readonly specialTokens: readonly string[];
  readonly #pattern: RegExp | undefined;

  /** @param specialTokens none of them empty */
  constructor(specialTokens: readonly string[]) {
    this.specialTokens = [...specialTokens].sort((a, b) => b.length - a.length);
    this.#pattern = specialTokens.length === 0 ? undefined : new RegExp(alternatives(this.specialTokens), 'g');
  }

  /** The text in order; segments without text are left out. */
  split(text: string): Segment[] {
    const segments: Segment[] = [];
    let start = 0;
    for (const match of this.#pattern === undefined ? [] : text.matchAll(this.#pattern)) {
      if (match.index > start) segments.push({ text: text.slice(start, match.index) });
      segments.push({ specialToken: match[0] });
      start = match.index + match[0].length;
    }
    if (start < text.length) segments.push({ text: text.slice(start) });
    return segments;
  }
}

/** Source of a regular expression, without and with the flag `u`, that matches these texts, the first ones first. */
export function alternatives(texts: readonly string[]): string {
  return texts.map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|');
}
