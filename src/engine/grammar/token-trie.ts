import type { Tokenizer } from '../../tokens/tokenizer.ts';
import type { Automaton, Place } from './automaton.ts';

/** The part of a tokenizer that says what text tokens stand for. */
export type TokenBytes = Pick<
  Tokenizer,
  'vocabularySize' | 'tokenBytes' | 'startsText' | 'addsSpacePrefix' | 'isControl' | 'endIds'
>;

/**
 * All tokens that stand for text, by their bytes: tokens with the same beginning are looked at together. Nodes lie in the order of a walk that goes down first,
 * so that the nodes below one follow it.
 */
export class TokenTrie {
  readonly #vocabularySize: number;
  /** [node]: the byte that leads to it. */
  readonly #byte: Uint8Array;
  /** [node]: bytes from the root, the node's own included. */
  readonly #depth: Uint16Array;
  /** [node]: the first node that is not below it. */
  readonly #end: Uint32Array;
  /** [node] and one more: where its tokens begin in `#ids`. */
  readonly #firstId: Uint32Array;
  readonly #ids: Uint32Array;
  readonly #maxDepth: number;

  /** Tokens that are no text are left out. */
  constructor(tokenizer: TokenBytes) {
    this.#vocabularySize = tokenizer.vocabularySize;
    const tokens = textTokens(tokenizer);
    const numNodes = tokens.reduce((sum, { bytes, numShared }) => sum + bytes.length - numShared, 0);
    this.#byte = new Uint8Array(numNodes);
    this.#depth = new Uint16Array(numNodes);
    this.#end = new Uint32Array(numNodes);
    this.#firstId = new Uint32Array(numNodes + 1);
    this.#ids = Uint32Array.from(tokens, ({ id }) => id);
    this.#maxDepth = tokens.reduce((most, { bytes }) => Math.max(most, bytes.length), 0);
    this.#fill(tokens);
  }

  get numNodes(): number {
    return this.#byte.length;
  }

  /**
   * Tokens that a text may go on with.
   *
   * @returns a bit for each token of the vocabulary: token `id` is bit `id & 31` of word `id >> 5`
   */
  tokensFrom(place: Place, automaton: Automaton): Uint32Array {
    const mask = new Uint32Array((this.#vocabularySize + 31) >> 5);
    const places: Place[] = new Array<Place>(this.#maxDepth + 1).fill(place);
    for (let node = 0; node < this.#byte.length;) {
      const depth = this.#depth[node];
      const next = automaton.step(places[depth - 1], this.#byte[node]);
      if (!next) {
        node = this.#end[node];
        continue;
      }
      places[depth] = next;
      for (let i = this.#firstId[node]; i < this.#firstId[node + 1]; i++)
        mask[this.#ids[i] >> 5] |= 1 << (this.#ids[i] & 31);
      node++;
    }
    return mask;
  }

  #fill(tokens: readonly SortedToken[]): void {
    const path: number[] = [];
    let node = 0;
    const close = (depth: number): void => {
      while (path.length > depth) this.#end[path.pop() ?? 0] = node;
    };
    tokens.forEach(({ bytes, numShared }, index) => {
      close(numShared);
      for (let i = numShared; i < bytes.length; i++) {
        this.#byte[node] = bytes[i];
        this.#depth[node] = i + 1;
        this.#firstId[node] = index;
        path.push(node++);
      }
    });
    close(0);
    this.#firstId[node] = tokens.length;
  }
}

interface SortedToken {
  readonly id: number;
  readonly bytes: Uint8Array;
  /** First bytes that it shares with the token before it. */
  readonly numShared: number;
}

/**
 * What a token adds to a text, whatever comes before it; nothing for tokens that are no text, and for those behind which decoding leaves a space out, so that the text
 * would be another one than its tokens say.
 */
export function textBytes(tokenizer: TokenBytes, id: number): Uint8Array {
  const isOther = tokenizer.isControl(id) || tokenizer.endIds.has(id);
  const changesText = tokenizer.addsSpacePrefix && tokenizer.startsText(id);
  return isOther || changesText ? new Uint8Array(0) : tokenizer.tokenBytes(id);
}

/** In the order of their bytes; of equal ones the lower id first. */
function textTokens(tokenizer: TokenBytes): SortedToken[] {
  const tokens: { readonly id: number; readonly bytes: Uint8Array; readonly key: string }[] = [];
  for (let id = 0; id < tokenizer.vocabularySize; id++) {
    const bytes = textBytes(tokenizer, id);
    if (bytes.length > 0) tokens.push({ id, bytes, key: String.fromCharCode(...bytes) });
  }
  // Strings of bytes compare as the bytes do, and much faster than arrays.
  tokens.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.id - b.id));
  return tokens.map(({ id, bytes }, i) => ({
    id,
    bytes,
    numShared: i === 0 ? 0 : numShared(tokens[i - 1].bytes, bytes),
  }));
}

/** Bytes that both begin with. */
function numShared(a: Uint8Array, b: Uint8Array): number {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && a[length] === b[length]) length++;
  return length;
}
