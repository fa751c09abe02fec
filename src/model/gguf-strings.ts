import type { MetadataValue } from '@huggingface/gguf';

/** Type numbers of the GGUF specification, and bytes of the values of fixed size. */
const STRING = 8;
const ARRAY = 9;
const FIXED_BYTES: Readonly<Record<number, number>> = {
  0: 1,
  1: 1,
  2: 2,
  3: 2,
  4: 4,
  5: 4,
  6: 4,
  7: 1,
  10: 8,
  11: 8,
  12: 8,
};

/** Magic, version, tensor count; the key count follows. */
const KEY_COUNT_OFFSET = 16;

type Holder = Record<string | number, MetadataValue>;

/**
 * Puts right the strings that @huggingface/gguf 0.4.6 changes without a word: it drops a byte order mark at their start
 * (vocabularies of the SentencePiece kind have such tokens), and cuts a string that goes on beyond what it has read.
 *
 * @param header the file up to its tensor infos; the parser has found its structure sound
 * @param metadata what the parser made of it, changed in place
 * @param readBoundaries byte offsets at which the parser's reads started
 */
export function repairStrings(header: Uint8Array, metadata: object, readBoundaries: readonly number[]): void {
  const walker = new MetadataWalker(header, readBoundaries);
  const numKeys = Number(walker.readUint64At(KEY_COUNT_OFFSET));
  walker.offset = KEY_COUNT_OFFSET + 8;
  for (let i = 0; i < numKeys; i++) {
    const key = walker.readString();
    walker.repairValue(walker.readUint32(), metadata as Holder, key);
  }
}

class MetadataWalker {
  offset = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #readBoundaries: readonly number[];
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });

  constructor(bytes: Uint8Array, readBoundaries: readonly number[]) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#readBoundaries = readBoundaries;
  }

  /** Steps over a value that the parser has put into `holder[key]`, and replaces strings in it that it has changed. */
  repairValue(type: number, holder: Holder, key: string | number): void {
    if (type === STRING) this.#repairString(holder, key);
    else if (type === ARRAY) this.#repairArray(holder[key] as unknown as Holder);
    else this.offset += FIXED_BYTES[type];
  }

  #repairArray(values: Holder): void {
    const type = this.readUint32();
    const length = this.#readLength();
    if (type in FIXED_BYTES) this.offset += length * FIXED_BYTES[type];
    else for (let i = 0; i < length; i++) this.repairValue(type, values, i);
  }

  #repairString(holder: Holder, key: string | number): void {
    const length = this.#readLength();
    const start = this.offset;
    this.offset += length;
    if (this.#startsWithByteOrderMark(start, length) || this.#crossesBoundary(start, this.offset)) {
      holder[key] = this.#decoder.decode(this.#bytes.subarray(start, this.offset));
    }
  }

  #startsWithByteOrderMark(start: number, length: number): boolean {
    const bytes = this.#bytes;
    return length >= 3 && bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf;
  }

  #crossesBoundary(start: number, end: number): boolean {
    return this.#readBoundaries.some((boundary) => start < boundary && boundary < end);
  }

  /** As the parser reads a key. */
  readString(): string {
    const length = this.#readLength();
    const start = this.offset;
    this.offset += length;
    return new TextDecoder().decode(this.#bytes.subarray(start, this.offset));
  }

  readUint32(): number {
    const value = this.#view.getUint32(this.offset, true);
    this.offset += 4;
    return value;
  }

  readUint64At(offset: number): bigint {
    return this.#view.getBigUint64(offset, true);
  }

  #readLength(): number {
    const length = Number(this.readUint64At(this.offset));
    this.offset += 8;
    return length;
  }
}
