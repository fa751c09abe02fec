/** What detokenizing needs to know of a vocabulary. */
export interface TokenTexts {
  readonly addsSpacePrefix: boolean;
  isControl(id: number): boolean;
  startsText(id: number): boolean;
  /** @throws KvantError INVALID_OPTION for an id outside the vocabulary. */
  tokenBytes(id: number): Uint8Array;
}

/** Text of whole UTF-8 characters, and the tokens whose last byte of text it holds. */
export interface TextPiece {
  readonly text: string;
  readonly tokenIds: readonly number[];
}

/**
 * Text of tokens that come one at a time. A character whose bytes lie across tokens is held back until it is whole;
 * bytes that are no UTF-8 become U+FFFD as in the WHATWG Encoding standard. All pieces together are what `decode` gives.
 */
export class StreamingDetokenizer {
  readonly #tokenizer: TokenTexts;
  readonly #skipSpecial: boolean;
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  #numBytes = 0;
  /** The last bytes, at most 3: as many as an unfinished character can have. */
  #tail: readonly number[] = [];
  #pending: { readonly id: number; readonly endByte: number }[] = [];
  #stripsSpace: boolean;

  /** @param options.skipSpecial whether control tokens give no text; default true */
  constructor(tokenizer: TokenTexts, { skipSpecial = true }: { readonly skipSpecial?: boolean } = {}) {
    this.#tokenizer = tokenizer;
    this.#skipSpecial = skipSpecial;
    this.#stripsSpace = tokenizer.addsSpacePrefix;
  }

  /**
   * The text that the token makes whole: often all of its own, possibly none.
   * @throws KvantError INVALID_OPTION for an id outside the vocabulary.
   */
  push(id: number): TextPiece {
    const bytes = this.#textBytes(id);
    this.#numBytes += bytes.length;
    this.#tail = [...this.#tail, ...bytes.slice(-3)].slice(-3);
    this.#pending.push({ id, endByte: this.#numBytes });
    const text = this.#decoder.decode(bytes, { stream: true });
    return { text, tokenIds: this.#completedIds(this.#numBytes - unfinishedLength(this.#tail)) };
  }

  /** Ends the text: an unfinished character becomes U+FFFD. The next token begins a new text. */
  flush(): TextPiece {
    const piece = { text: this.#decoder.decode(), tokenIds: this.#completedIds(this.#numBytes) };
    this.#tail = [];
    this.#stripsSpace = this.#tokenizer.addsSpacePrefix;
    return piece;
  }

  #completedIds(numWholeBytes: number): number[] {
    const firstHeld = this.#pending.findIndex(({ endByte }) => endByte > numWholeBytes);
    return this.#pending.splice(0, firstHeld < 0 ? this.#pending.length : firstHeld).map(({ id }) => id);
  }

  /** Undoes the leading space that encoding adds to text at the start and after special tokens. */
  #textBytes(id: number): Uint8Array {
    const isSkipped = this.#skipSpecial && this.#tokenizer.isControl(id);
    const bytes = isSkipped ? new Uint8Array(0) : this.#tokenizer.tokenBytes(id);
    if (this.#tokenizer.startsText(id)) {
      this.#stripsSpace = this.#tokenizer.addsSpacePrefix;
      return bytes;
    }
    const stripped = this.#stripsSpace && bytes[0] === 0x20 ? bytes.subarray(1) : bytes;
    if (bytes.length > 0) this.#stripsSpace = false;
    return stripped;
  }
}

/**
 * How many of the last bytes begin a UTF-8 character without ending it. A fatal decoder tells: only such bytes give
 * neither text nor an error.
 */
function unfinishedLength(tail: readonly number[]): number {
  if (tail.length === 0 || tail[tail.length - 1] < 0x80) return 0;
  for (let length = tail.length; length > 0; length--) {
    try {
      const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
        Uint8Array.from(tail.slice(-length)),
        { stream: true },
      );
      if (text === '') return length;
    } catch {
      // These bytes do not begin a character; fewer of them may.
    }
  }
  return 0;
}
