/** Shorter lists gain nothing from being decoded at once. */
const LONG_LIST = 16;

/** Reads numbers and strings of a GGUF header. Every method throws a RangeError where it would read beyond the bytes. */
export class StringReader {
  offset: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #keyDecoder = new TextDecoder();
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });

  constructor(bytes: Uint8Array, offset: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.offset = offset;
  }

  readUint32(): number {
    this.offset += 4;
    return this.#view.getUint32(this.offset - 4, true);
  }

  /** A number of things that have at least a byte each. */
  readLength(): number {
    this.offset += 8;
    const length = Number(this.#view.getBigUint64(this.offset - 8, true));
    this.#checkLeft(length);
    return length;
  }

  skip(numBytes: number): void {
    this.#checkLeft(numBytes);
    this.offset += numBytes;
  }

  /** As @huggingface/gguf reads a key: a byte order mark at its start is dropped. */
  readKey(): string {
    const length = this.readLength();
    this.offset += length;
    return this.#keyDecoder.decode(this.#bytes.subarray(this.offset - length, this.offset));
  }

  /** Strings, each after its length of 8 bytes. Bytes that are no UTF-8 become U+FFFD. */
  readStrings(count: number): string[] {
    const start = this.offset;
    const lengths = this.#readLengths(count);
    const end = this.offset;
    this.offset = start;
    const strings = (count >= LONG_LIST ? this.#decodeAtOnce(lengths, end) : undefined) ?? this.#decodeEach(lengths);
    this.offset = end;
    return strings;
  }

  #readLengths(count: number): Uint32Array {
    this.#checkLeft(8 * count);
    const lengths = new Uint32Array(count);
    for (let i = 0; i < count; i++) {
      // No string has 4 GB: the number's upper half is 0, or it goes beyond the bytes.
      this.#checkLeft(8);
      const length = this.#view.getUint32(this.offset, true) + 2 ** 32 * this.#view.getUint32(this.offset + 4, true);
      lengths[i] = length;
      this.skip(8 + length);
    }
    return lengths;
  }

  #decodeEach(lengths: Uint32Array): string[] {
    return Array.from(lengths, (length) => {
      this.offset += 8 + length;
      return this.#decoder.decode(this.#bytes.subarray(this.offset - length, this.offset));
    });
  }

  /**
   * Puts the strings' bytes together, decodes them and cuts the text: a vocabulary's strings are short, and a call of the decoder
   * costs more than their bytes.
   *
   * @returns undefined if a string is no UTF-8
   */
  #decodeAtOnce(lengths: Uint32Array, end: number): string[] | undefined {
    const bytes = this.#bytes;
    const joined = new Uint8Array(end - this.offset - 8 * lengths.length);
    const cuts = new Uint32Array(lengths.length);
    let numJoined = 0;
    let numUnits = 0;
    let offset = this.offset;
    for (let i = 0; i < lengths.length; i++) {
      const stringEnd = offset + 8 + lengths[i];
      offset += 8;
      // It would go on with the last character of the string before.
      if (offset < stringEnd && isContinuation(bytes[offset])) return undefined;
      for (; offset < stringEnd; offset++) {
        const byte = bytes[offset];
        joined[numJoined++] = byte;
        numUnits += utf16Units(byte);
      }
      cuts[i] = numUnits;
    }
    const text = decodeValid(joined);
    if (text === undefined) return undefined;
    return Array.from(cuts, (cut, i) => text.slice(i === 0 ? 0 : cuts[i - 1], cut));
  }

  #checkLeft(numBytes: number): void {
    if (numBytes > this.#bytes.length - this.offset) throw new RangeError('the header ends before');
  }
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}

/** UTF-16 units of the character that the byte begins, in valid UTF-8; 0 inside of one. */
function utf16Units(byte: number): number {
  if (byte >= 0xf0) return 2;
  return isContinuation(byte) ? 0 : 1;
}

function decodeValid(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { ignoreBOM: true, fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
