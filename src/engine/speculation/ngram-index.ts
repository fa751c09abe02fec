/**
 * Where the n-grams of a sequence ended before: a hash table of the newest places and a chain from each to the one before it, as LZ77
 * compressors have them (RFC 1951, section 4). Adding a token and taking the newest back cost O(1).
 */
export class NgramIndex {
  readonly #length: number;
  readonly #newest = new Map<number, number>();
  /** By position; undefined where the n-gram that ends there is the first of its kind. */
  readonly #before: (number | undefined)[] = [];

  /** @param length tokens of an n-gram */
  constructor(length: number) {
    this.#length = length;
  }

  /** Enters the n-gram that ends at the last token; positions are entered one after the other. */
  push(tokens: readonly number[]): void {
    const end = tokens.length - 1;
    if (end !== this.#before.length) throw new RangeError(`n-gram ${this.#before.length} is next, not ${end}`);
    const hash = this.#hash(tokens);
    this.#before.push(hash === undefined ? undefined : this.#newest.get(hash));
    if (hash !== undefined) this.#newest.set(hash, end);
  }

  /** Takes back the newest entry. @param tokens those that it was entered with */
  pop(tokens: readonly number[]): void {
    const hash = this.#hash(tokens);
    const before = this.#before.pop();
    if (hash === undefined) return;
    if (before === undefined) this.#newest.delete(hash);
    else this.#newest.set(hash, before);
  }

  /**
   * Earlier positions at which the n-gram at the end of the sequence probably ended, the newest first. Hashes may collide: whoever
   * asks compares tokens.
   */
  *earlier(): Generator<number, undefined> {
    let end = this.#before.at(-1);
    while (end !== undefined) {
      yield end;
      end = this.#before[end];
    }
  }

  /** Of the last n tokens; undefined while there are fewer. */
  #hash(tokens: readonly number[]): number | undefined {
    const start = tokens.length - this.#length;
    if (start < 0) return undefined;
    let hash = 0;
    for (let i = start; i < tokens.length; i++) hash = Math.imul(hash ^ tokens[i], 0x9e3779b1) ^ (hash >>> 15);
    return hash;
  }
}
