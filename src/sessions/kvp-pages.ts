import { equalBytes, encodeKvpHead, sha256, type KvpHead, type KvpHeader, type KvpSource } from './kvp-header.ts';

/** A page to be written: its bytes as they are in memory, which may be shared with other threads. */
export interface KvpPage {
  /** [sealedPageBytes] */
  readonly sealed: Uint8Array;
  /** [sinkPageBytes]: with the first page, where the format has a sink. */
  readonly sink?: Uint8Array | undefined;
}

/** A page that was read, and is what was written. */
export interface KvpPageRead extends KvpPage {
  /** From 0 on. */
  readonly index: number;
}

/** How far the pages of a file can be used. */
export interface KvpReport {
  /** Pages that the file should hold. */
  readonly numPages: number;
  /** Pages before the first bad one: these can be used. */
  readonly numGood: number;
  /** The first bad page, where there is one. */
  readonly firstBad: number | undefined;
  /** What is wrong with it, or with the file behind its pages; undefined where all is well. */
  readonly reason: string | undefined;
}

/** Before each page's payload: its SHA-256, then what is hashed with it: the first 28 bytes of the header's checksum and its index. */
const RECORD_HEAD_BYTES = 64;
const HASHED_AT = 32;
const SEED_BYTES = 28;
const INDEX_AT = HASHED_AT + SEED_BYTES;

type Sizes = Pick<KvpHeader, 'numPages' | 'sealedPageBytes' | 'sinkPageBytes'>;

/** Where the record of a page starts, counted from the end of the header; the record of page `numPages` is where the file ends. */
export function recordOffsetBytes({ sealedPageBytes, sinkPageBytes }: Sizes, index: number): number {
  return index === 0 ? 0 : sinkPageBytes + index * (RECORD_HEAD_BYTES + sealedPageBytes);
}

/** Bytes of a whole file with this header. @throws RangeError as `encodeKvpHead` */
export async function kvpFileBytes(header: KvpHeader): Promise<number> {
  return (await encodeKvpHead(header)).headerBytes + recordOffsetBytes(header, header.numPages);
}

/**
 * The file, piece by piece: the header, then a piece for each page. A page is asked for when its piece is, and copied.
 *
 * @param pages `header.numPages` of them; the first with the sink page if `header.sinkPageBytes` is not 0
 * @throws RangeError if header and pages contradict each other; what the pages' iterator throws
 */
export async function* encodeKvp(
  header: KvpHeader,
  pages: AsyncIterable<KvpPage> | Iterable<KvpPage>,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  const { bytes, checksum } = await encodeKvpHead(header);
  yield bytes;
  let index = 0;
  for await (const page of pages) {
    if (index >= header.numPages) throw new RangeError(`more than the ${header.numPages} pages of the header`);
    yield await encodeRecord(header, checksum, index++, page);
  }
  if (index < header.numPages) throw new RangeError(`${index} pages, and ${header.numPages} in the header`);
}

/**
 * Reads pages up to the first that is bad: cut short, changed, of another file or place, or not to be read at all.
 *
 * @param visit gets them in order, and the next one when it is done
 * @param numWanted reads no more than so many (default: all)
 * @returns how far the pages are good; what is behind the wanted ones is not looked at
 * @throws what `visit` throws
 */
export async function readKvpPages(
  source: KvpSource,
  { header, headerBytes, checksum }: KvpHead,
  visit: (page: KvpPageRead) => Promise<void> | void,
  numWanted: number = Infinity,
): Promise<KvpReport> {
  const { numPages } = header;
  const numToRead = Math.min(numWanted, numPages);
  for (let index = 0; index < numToRead; index++) {
    const offset = headerBytes + recordOffsetBytes(header, index);
    const end = headerBytes + recordOffsetBytes(header, index + 1);
    const record = await readRecord(source, offset, end - offset);
    const reason = typeof record === 'string' ? record : await refuseRecord(record, checksum, index);
    if (reason !== undefined || typeof record === 'string')
      return { numPages, numGood: index, firstBad: index, reason };
    const sinkBytes = index === 0 ? header.sinkPageBytes : 0;
    const sealedAt = RECORD_HEAD_BYTES + sinkBytes;
    const sink = sinkBytes > 0 ? record.subarray(RECORD_HEAD_BYTES, sealedAt) : undefined;
    await visit({ index, sealed: record.subarray(sealedAt), ...(sink && { sink }) });
  }
  const numBehind = source.sizeBytes - headerBytes - recordOffsetBytes(header, numPages);
  const reason = numToRead === numPages && numBehind > 0 ? `${numBehind} bytes follow its last page` : undefined;
  return { numPages, numGood: numToRead, firstBad: undefined, reason };
}

async function encodeRecord(
  { sealedPageBytes, sinkPageBytes }: Sizes,
  checksum: Uint8Array,
  index: number,
  { sealed, sink }: KvpPage,
): Promise<Uint8Array<ArrayBuffer>> {
  const sinkBytes = index === 0 ? sinkPageBytes : 0;
  if (sealed.length !== sealedPageBytes || (sink?.length ?? 0) !== sinkBytes) {
    const given = `${sealed.length} bytes and a sink page of ${sink?.length ?? 0}`;
    throw new RangeError(`page ${index} has ${given}, not ${sealedPageBytes} and ${sinkBytes}`);
  }
  const record = new Uint8Array(RECORD_HEAD_BYTES + sinkBytes + sealedPageBytes);
  record.set(checksum.subarray(0, SEED_BYTES), HASHED_AT);
  new DataView(record.buffer).setUint32(INDEX_AT, index, true);
  if (sink) record.set(sink, RECORD_HEAD_BYTES);
  record.set(sealed, RECORD_HEAD_BYTES + sinkBytes);
  record.set(await sha256(record.subarray(HASHED_AT)));
  return record;
}

/** The record's bytes, or why it has none. Its length is checked against the file's before it is allocated. */
async function readRecord(
  source: KvpSource,
  offset: number,
  numBytes: number,
): Promise<Uint8Array<ArrayBuffer> | string> {
  const cutShort = 'the file ends before it does';
  if (offset + numBytes > source.sizeBytes) return cutShort;
  try {
    const record = await source.read(offset, numBytes);
    return record.length < numBytes ? cutShort : record;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function refuseRecord(
  record: Uint8Array<ArrayBuffer>,
  checksum: Uint8Array,
  index: number,
): Promise<string | undefined> {
  if (!equalBytes(record.subarray(0, HASHED_AT), await sha256(record.subarray(HASHED_AT)))) {
    return 'its checksum does not match';
  }
  const isOfThisFile = equalBytes(record.subarray(HASHED_AT, INDEX_AT), checksum.subarray(0, SEED_BYTES));
  if (!isOfThisFile) return 'it belongs to another file';
  const stored = new DataView(record.buffer, record.byteOffset).getUint32(INDEX_AT, true);
  return stored === index ? undefined : `page ${stored} lies in its place`;
}
