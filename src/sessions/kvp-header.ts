import * as z from 'zod';
import { KvantError } from '../errors.ts';

/** What makes pages usable: an engine reads a file's pages only where all of this is its own. */
export interface KvpIdentity {
  /** 64 hexadecimal digits: SHA-256 over everything that the bytes of pages depend on (model, tokenizer, RoPE, KV format, layout). */
  readonly identity: string;
  /** For people. */
  readonly modelName: string;
  /** `sha256:` and 64 hexadecimal digits. */
  readonly modelFingerprint: string;
  readonly kvFormat: string;
  /** Version of docs/page-format.md. */
  readonly layoutVersion: number;
  /** Tokens of a page. */
  readonly pageSize: number;
  /** Tokens before the first page, kept in the sink page; 0 in formats that have none. */
  readonly numSinkTokens: number;
  /** A multiple of 64. */
  readonly sealedPageBytes: number;
  /** A multiple of 64; 0 exactly where there are no sink tokens. */
  readonly sinkPageBytes: number;
}

export interface KvpMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

/** Everything that a file says but for the pages themselves. */
export interface KvpHeader extends KvpIdentity {
  /** All tokens of the conversation or document; pages hold the first `numSinkTokens + numPages * pageSize` of them. */
  readonly tokens: Uint32Array;
  /** Sealed pages in the file. */
  readonly numPages: number;
  /** Of a conversation. */
  readonly messages?: readonly KvpMessage[] | undefined;
  /** What a document is called. */
  readonly title?: string | undefined;
  /** ISO 8601, UTC: `2026-01-31T12:00:00.000Z`. */
  readonly createdAt: string;
  readonly kvantVersion: string;
}

/** A header as it lies in a file. */
export interface KvpHead {
  readonly header: KvpHeader;
  /** Where the first page's record starts: a multiple of 64. */
  readonly headerBytes: number;
  /** SHA-256 of the header, 32 bytes. */
  readonly checksum: Uint8Array<ArrayBuffer>;
}

/** Random access to a file's bytes, wherever it lies. */
export interface KvpSource {
  /** For messages: the path. */
  readonly name: string;
  readonly sizeBytes: number;
  /** The bytes from `offsetBytes` on; fewer than `numBytes` only where the file ends. */
  read(offsetBytes: number, numBytes: number): Promise<Uint8Array<ArrayBuffer>>;
}

export const KVP_VERSION = 1;
/** Payloads start at multiples of this, as pages do in memory. */
export const ALIGNMENT_BYTES = 64;

/** As PNG's: a high bit, line ends and an end of file, so that a transfer as text is noticed at once. */
const MAGIC = Uint8Array.of(0x89, 0x4b, 0x56, 0x50, 0x0d, 0x0a, 0x1a, 0x0a);
const VERSION_AT = MAGIC.length;
/** uint32 each: bytes of the header, of its metadata, numbers of tokens and pages, bytes of a sealed and of the sink page; then zeros. */
const COUNTS_AT = VERSION_AT + 4;
const NUM_COUNTS = 6;
const CHECKSUM_AT = 64;
const CHECKSUM_BYTES = 32;
const TOKENS_AT = CHECKSUM_AT + CHECKSUM_BYTES;

/** Far beyond every context; what a hostile header can make a reader allocate stays below their sum. */
const MAX_TOKENS = 2 ** 24;
const MAX_METADATA_BYTES = 2 ** 26;
const MAX_PAGE_BYTES = 2 ** 30;

const count = z.int().min(1).max(0xffffffff);
const metadataSchema = z.strictObject({
  identity: z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits'),
  modelName: z.string(),
  modelFingerprint: z.string().regex(/^sha256:[0-9a-f]{64}$/, 'must be sha256: and 64 hexadecimal digits'),
  kvFormat: z.string().min(1),
  layoutVersion: count,
  pageSize: count,
  numSinkTokens: z.int().min(0).max(0xffffffff),
  createdAt: z.iso.datetime(),
  kvantVersion: z.string(),
  title: z.string().optional(),
  messages: z.array(z.strictObject({ role: z.enum(['system', 'user', 'assistant']), content: z.string() })).optional(),
});

/**
 * The header as the bytes of a file (docs/session-format.md).
 *
 * @throws RangeError if the header is none that `readKvpHead` would take
 */
export async function encodeKvpHead(header: KvpHeader): Promise<KvpHead & { readonly bytes: Uint8Array<ArrayBuffer> }> {
  const { tokens, numPages, sealedPageBytes, sinkPageBytes, ...others } = header;
  const parsed = metadataSchema.safeParse(others);
  if (!parsed.success) throw new RangeError(`header of a session: ${z.prettifyError(parsed.error)}`);
  const metadata = new TextEncoder().encode(JSON.stringify(parsed.data));
  const counts = { metadataBytes: metadata.length, numTokens: tokens.length, numPages, sealedPageBytes, sinkPageBytes };
  const refused = refuseCounts(counts) ?? refusePages(header);
  if (refused !== undefined) throw new RangeError(`header of a session: ${refused}`);
  const headerBytes = headerBytesOf(counts);
  const bytes = new Uint8Array(headerBytes);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint32(VERSION_AT, KVP_VERSION, true);
  [headerBytes, ...Object.values(counts)].forEach((value, i) => view.setUint32(COUNTS_AT + 4 * i, value, true));
  tokens.forEach((token, i) => view.setUint32(TOKENS_AT + 4 * i, token, true));
  bytes.set(metadata, TOKENS_AT + 4 * tokens.length);
  const checksum = await sha256(bytes);
  bytes.set(checksum, CHECKSUM_AT);
  return { header, headerBytes, checksum, bytes };
}

/**
 * Reads and checks the header of a file. Whether the pages behind it are whole is not looked at, nor whether all of them are there.
 *
 * @throws KvantError SESSION_INVALID if it is no session file or its header is damaged, SESSION_MISMATCH if it has another version; what
 *   reading throws
 */
export async function readKvpHead(source: KvpSource): Promise<KvpHead> {
  const { name } = source;
  const preamble = await source.read(0, TOKENS_AT);
  if (!hasMagic(preamble)) {
    const what = preamble.length === 0 ? 'it is empty' : 'it does not start as one';
    throw new KvantError('SESSION_INVALID', `"${name}" is no session file of Kvant: ${what}. Check the path`);
  }
  if (preamble.length < TOKENS_AT) throw damaged(name, 'it ends within its header');
  const view = new DataView(preamble.buffer, preamble.byteOffset);
  checkVersion(name, view.getUint32(VERSION_AT, true));
  const [headerBytes, metadataBytes, numTokens, numPages, sealedPageBytes, sinkPageBytes] = Array.from(
    { length: NUM_COUNTS },
    (_, i) => view.getUint32(COUNTS_AT + 4 * i, true),
  );
  const counts = { metadataBytes, numTokens, numPages, sealedPageBytes, sinkPageBytes };
  const refused = refuseCounts(counts);
  if (refused !== undefined) throw damaged(name, `in its header, ${refused}`);
  if (headerBytes !== headerBytesOf(counts)) throw damaged(name, 'the lengths in its header contradict each other');
  // Before anything of that length is allocated.
  if (headerBytes > source.sizeBytes) throw damaged(name, 'it ends within its header');
  const bytes = await source.read(0, headerBytes);
  if (bytes.length < headerBytes) throw damaged(name, 'it ends within its header');
  const checksum = await checkedChecksum(name, bytes);
  const metadataAt = TOKENS_AT + 4 * numTokens;
  const metadata = parseMetadata(name, bytes.subarray(metadataAt, metadataAt + metadataBytes));
  const tokens = readTokens(bytes, numTokens);
  const header = { ...metadata, tokens, numPages, sealedPageBytes, sinkPageBytes };
  const refusedPages = refusePages(header);
  if (refusedPages !== undefined) throw damaged(name, `in its header, ${refusedPages}`);
  return { header, headerBytes, checksum };
}

/** Whether bytes start as a session file does. */
export function hasMagic(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, i) => bytes[i] === byte);
}

/** SHA-256. The bytes must not be shared with other threads. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** In the order in which they lie in the file, behind the header's length. */
interface Counts {
  readonly metadataBytes: number;
  readonly numTokens: number;
  readonly numPages: number;
  readonly sealedPageBytes: number;
  readonly sinkPageBytes: number;
}

function headerBytesOf({ metadataBytes, numTokens }: Counts): number {
  return Math.ceil((TOKENS_AT + 4 * numTokens + metadataBytes) / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
}

function refuseCounts({
  metadataBytes,
  numTokens,
  numPages,
  sealedPageBytes,
  sinkPageBytes,
}: Counts): string | undefined {
  const isCount = (value: number, max: number): boolean => Number.isInteger(value) && value >= 0 && value <= max;
  const isPage = (value: number): boolean => isCount(value, MAX_PAGE_BYTES) && value % ALIGNMENT_BYTES === 0;
  if (!isCount(numTokens, MAX_TOKENS)) return `${numTokens} tokens are more than the ${MAX_TOKENS} that a file holds`;
  if (!isCount(metadataBytes, MAX_METADATA_BYTES)) return `${metadataBytes} bytes of messages are too many`;
  if (!isCount(numPages, MAX_TOKENS)) return `${numPages} is no number of pages`;
  if (!isPage(sealedPageBytes) || sealedPageBytes === 0) return `${sealedPageBytes} bytes are no page`;
  if (!isPage(sinkPageBytes)) return `${sinkPageBytes} bytes are no sink page`;
  return undefined;
}

function refusePages(header: KvpHeader): string | undefined {
  const { numPages, pageSize, numSinkTokens, sinkPageBytes, tokens } = header;
  if (sinkPageBytes > 0 !== numSinkTokens > 0) {
    return `${sinkPageBytes} bytes are no sink page of ${numSinkTokens} tokens`;
  }
  const numTokens = numPages === 0 ? 0 : numSinkTokens + numPages * pageSize;
  return numTokens > tokens.length ? `${numPages} pages hold more than the ${tokens.length} tokens` : undefined;
}

function checkVersion(name: string, version: number): void {
  if (version === KVP_VERSION) return;
  const message = `"${name}" has version ${version} of the session format, and this Kvant reads version ${KVP_VERSION}`;
  const fix = version > KVP_VERSION ? 'use a newer Kvant, or another file' : 'use another file';
  throw new KvantError('SESSION_MISMATCH', `${message}: ${fix}`);
}

/** The stored checksum. @param bytes of the header; where the checksum lies there are zeros afterwards, as when it was made */
async function checkedChecksum(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stored = bytes.slice(CHECKSUM_AT, CHECKSUM_AT + CHECKSUM_BYTES);
  bytes.fill(0, CHECKSUM_AT, CHECKSUM_AT + CHECKSUM_BYTES);
  if (!equalBytes(stored, await sha256(bytes))) throw damaged(name, 'the checksum of its header does not match');
  return stored;
}

function parseMetadata(name: string, bytes: Uint8Array): z.infer<typeof metadataSchema> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw damaged(name, 'the metadata in its header are no JSON');
  }
  const parsed = metadataSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw damaged(name, `in its header, ${issue.path.join('.') || 'the metadata'}: ${issue.message}`);
}

function readTokens(bytes: Uint8Array<ArrayBuffer>, numTokens: number): Uint32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset + TOKENS_AT);
  return Uint32Array.from({ length: numTokens }, (_, i) => view.getUint32(4 * i, true));
}

function damaged(name: string, what: string): KvantError {
  const message = `the session file "${name}" is damaged: ${what}. Take a backup of it, or delete it and start anew`;
  return new KvantError('SESSION_INVALID', message);
}
