/** Beginnings of prompts whose pages all tenants share, such as an operator's system prompt. */
export class PublicPrefixes {
  readonly #prefixes: (readonly number[])[] = [];

  add(tokens: readonly number[]): void {
    this.#prefixes.push([...tokens]);
  }

  /** Tokens of the longest declared prefix that a prompt begins with, as a whole; 0 if it begins with none. */
  lengthIn(prompt: readonly number[]): number {
    const found = this.#prefixes.filter((prefix) => prefix.every((token, i) => token === prompt[i]));
    return Math.max(0, ...found.map(({ length }) => length));
  }
}
