import type { MetadataValue } from '@huggingface/gguf';
import type { ByteSource } from './byte-source.ts';
import { StringReader } from './string-reader.ts';

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
/** Arrays in arrays that go deeper than the parser's own limit are left to it. */
const MAX_DEPTH = 4;
/** Enough for the header of small models; more is read where a header goes on. */
const FIRST_READ_BYTES = 2 ** 21;
const READ_GROWTH = 4;
/** Above any header; a damaged one may claim to be as long as the file. */
const MAX_READ_BYTES = 2 ** 27;

/** A file without the strings of its metadata, which are set aside. */
export interface StrippedFile {
  /** How the file begins, with empty strings and empty lists of strings. */
  readonly head: Uint8Array;
  /** How much longer the file is up to there. What follows `head` is as in the file. */
  readonly removedBytes: number;
  /** By key: the strings, as their values were. */
  readonly strings: ReadonlyMap<string, MetadataValue>;
}

/**
 * Takes the strings out of a file's metadata, so that the parser need not read them. @huggingface/gguf 0.4.6 makes several objects
 * for each of the hundred thousand strings of a vocabulary, drops a byte order mark at their start (vocabularies of the SentencePiece
 * kind have such tokens), and cuts a string that goes on beyond what it has read.
 *
 * Judges nothing: from the first key on that does not add up, all is left as it is, for the parser to refuse.
 *
 * @param source has at least a magic number, a version and two counts
 * @throws what reading throws
 */
export async function stripStrings(source: ByteSource): Promise<StrippedFile> {
  const mostBytes = Math.min(source.sizeBytes, MAX_READ_BYTES);
  for (let wantedBytes = FIRST_READ_BYTES; ; wantedBytes *= READ_GROWTH) {
    const bytes = new Uint8Array(Math.min(wantedBytes, mostBytes));
    await source.read(bytes, 0);
    const stripper = new Stripper(bytes);
    if (stripper.run() || bytes.length === mostBytes) return stripper.result();
  }
}

/** Goes over the keys and their values. */
class Stripper {
  readonly #bytes: Uint8Array;
  readonly #reader: StringReader;
  readonly #strings = new Map<string, MetadataValue>();
  readonly #pieces: Uint8Array[] = [];
  /** Bytes before this are in `#pieces` already, or left out. */
  #taken = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#reader = new StringReader(bytes, KEY_COUNT_OFFSET);
  }

  /** @returns whether all keys have been read; otherwise the bytes end before, or make no sense */
  run(): boolean {
    try {
      const numKeys = this.#reader.readLength();
      for (let i = 0; i < numKeys; i++) this.#readPair();
      return true;
    } catch (error) {
      // What the reader throws where bytes are missing.
      if (error instanceof RangeError) return false;
      throw error;
    }
  }

  #readPair(): void {
    const reader = this.#reader;
    const key = reader.readKey();
    const type = reader.readUint32();
    const start = reader.offset;
    const value = this.#readValue(type, 0);
    if (value === undefined) return;
    // A string keeps its length, a list its type of elements and its length: they are 0.
    this.#pieces.push(this.#bytes.subarray(this.#taken, type === ARRAY ? start + 4 : start), new Uint8Array(8));
    this.#taken = reader.offset;
    this.#strings.set(key, value);
  }

  /** Steps over a value. @returns its strings; undefined if it holds others than strings */
  #readValue(type: number, depth: number): MetadataValue | undefined {
    if (type === STRING) return this.#reader.readStrings(1)[0];
    if (type === ARRAY) return this.#readArray(depth);
    this.#reader.skip(bytesOfType(type));
    return undefined;
  }

  #readArray(depth: number): MetadataValue | undefined {
    if (depth >= MAX_DEPTH) throw new RangeError('arrays in arrays, too deep');
    const type = this.#reader.readUint32();
    const length = this.#reader.readLength();
    if (type === STRING) return this.#reader.readStrings(length);
    if (type !== ARRAY) {
      this.#reader.skip(length * bytesOfType(type));
      return undefined;
    }
    const values: (MetadataValue | undefined)[] = [];
    for (let i = 0; i < length; i++) values.push(this.#readArray(depth + 1));
    return values.every((value) => value !== undefined) ? values : undefined;
  }

  result(): StrippedFile {
    const pieces = [...this.#pieces, this.#bytes.subarray(this.#taken)];
    const head = new Uint8Array(pieces.reduce((total, { length }) => total + length, 0));
    let end = 0;
    for (const piece of pieces) {
      head.set(piece, end);
      end += piece.length;
    }
    return { head, removedBytes: this.#bytes.length - head.length, strings: this.#strings };
  }
}

function bytesOfType(type: number): number {
  if (type in FIXED_BYTES) return FIXED_BYTES[type];
  throw new RangeError(`no type ${type}`);
}
