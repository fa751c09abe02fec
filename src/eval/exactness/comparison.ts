/** Where a condition's run first differs from the baseline's. */
export interface Difference {
  readonly what: 'logits' | 'token';
  /** Of the token, or of the one after which the logits come. */
  readonly position: number;
  /** Which of the condition's runs it was. */
  readonly run: string;
  /** For instance `3 of 49,152 logits`, or `token 17 in place of 4`. */
  readonly detail: string;
}

/** What a prompt gave when it ran alone. */
export interface Expected {
  /** Raw bits of a row of logits; undefined where the baseline has none. */
  rowAt(position: number): Uint32Array | undefined;
  readonly tokenIds: readonly number[];
}

/** Compares runs with their baselines bit by bit, and counts what it has compared. */
export class Comparison {
  numRows = 0;
  numTokens = 0;
  #first: Difference | undefined;

  get firstDifference(): Difference | undefined {
    return this.#first;
  }

  /** @param logits not kept */
  compareRow(position: number, logits: Float32Array, expected: Expected, run: string): void {
    this.numRows++;
    const wanted = expected.rowAt(position);
    if (!wanted) return this.#note({ what: 'logits', position, run, detail: 'the baseline ends before' });
    const found = bitsOf(logits);
    const numDifferent = countDifferent(found, wanted);
    if (numDifferent === 0) return;
    this.#note({ what: 'logits', position, run, detail: `${count(numDifferent)} of ${count(found.length)} logits` });
  }

  /** @param firstPosition of the first generated token */
  compareTokens(found: readonly number[], firstPosition: number, expected: Expected, run: string): void {
    const wanted = expected.tokenIds;
    this.numTokens += Math.max(found.length, wanted.length);
    for (let i = 0; i < Math.max(found.length, wanted.length); i++) {
      if (found[i] === wanted[i]) continue;
      const detail = `token ${found[i] ?? 'none'} in place of ${wanted[i] ?? 'none'}`;
      return this.#note({ what: 'token', position: firstPosition + i, run, detail });
    }
  }

  /** The earliest position counts: what comes later may follow from it. Of the same one, what was seen first. */
  #note(difference: Difference): void {
    if (!this.#first || difference.position < this.#first.position) this.#first = difference;
  }
}

/** A row's raw bits, in the row's own memory. */
export function bitsOf(row: Float32Array): Uint32Array {
  return new Uint32Array(row.buffer, row.byteOffset, row.length);
}

function countDifferent(a: Uint32Array, b: Uint32Array): number {
  if (a.length !== b.length) return Math.max(a.length, b.length);
  let numDifferent = 0;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) numDifferent++;
  return numDifferent;
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}
