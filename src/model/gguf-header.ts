import { gguf } from '@huggingface/gguf';
import type { GGUFParseOutput, GGUFTensorInfo, MetadataValue } from '@huggingface/gguf';
import { KvantError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';
import { stripStrings, type StrippedFile } from './gguf-strings.ts';
import { formatBytes, quote } from './messages.ts';

/** The key-value pairs of a GGUF file. Integers of 64 bits are bigints. */
export type Metadata = Readonly<Record<string, MetadataValue>>;

/** The header of a GGUF file, with tensors as declared: nothing about them has been checked. */
export interface GgufHeader {
  readonly metadata: Metadata;
  readonly tensorInfos: readonly GGUFTensorInfo[];
  /** Tensors start at multiples of this. */
  readonly alignmentBytes: number;
  /** Where tensor data starts in the file. */
  readonly dataOffsetBytes: number;
}

/** Magic, version, tensor count, key count. */
const FIXED_BYTES = 24;
/** A key's least size: length of the name, type, one byte. */
const MIN_KEY_BYTES = 8 + 4 + 1;
/** A tensor's least size: length of the name, number of dimensions, type, offset. */
const MIN_TENSOR_BYTES = 8 + 4 + 4 + 8;
/** Far above any model, and small enough that a hostile count costs little. */
const MAX_TENSORS = 100_000;
/** The parser reads ahead by less than this: beyond it, it asks for bytes only where a header is cut short. */
const READ_AHEAD_BYTES = 1_000_000;
const NO_HEADERS = new Map<string, string>();
const DEFAULT_ALIGNMENT_BYTES = 32;
const MAX_ALIGNMENT_BYTES = 2 ** 16;
/** Keys that the parser adds to those of the file. */
const PARSER_KEYS = ['version', 'tensor_count', 'kv_count'];

/**
 * Reads the header of a little-endian GGUF file, version 2 or 3
 * (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
 *
 * @throws KvantError MODEL_NOT_GGUF, MODEL_TRUNCATED, MODEL_INVALID, MODEL_UNSUPPORTED
 */
export async function readGgufHeader(source: ByteSource): Promise<GgufHeader> {
  await checkFixedPart(source);
  const stripped = await stripStrings(source);
  const parsed = await parse(source, stripped);
  const endBytes = parsed.tensorInfoByteRange[1] + stripped.removedBytes;
  if (endBytes > source.sizeBytes) throw headerCutShort(source);
  const fileKeys = Object.keys(parsed.metadata).filter((key) => !PARSER_KEYS.includes(key));
  if (BigInt(fileKeys.length) !== parsed.metadata.kv_count) {
    throw new KvantError('MODEL_INVALID', `${quote(source.name)} has a metadata key twice: convert the model again`);
  }
  const metadata = withStrings(parsed.metadata as unknown as Metadata, fileKeys, stripped.strings);
  refuseShards(source, metadata);
  const alignmentBytes = readAlignment(source, metadata);
  const dataOffsetBytes = Math.ceil(endBytes / alignmentBytes) * alignmentBytes;
  return { metadata, tensorInfos: parsed.tensorInfos, alignmentBytes, dataOffsetBytes };
}

/** The parser's values, and the strings that it has not seen. */
function withStrings(parsed: Metadata, keys: readonly string[], strings: ReadonlyMap<string, MetadataValue>): Metadata {
  // No prototype: a key such as "constructor" is there only if the file has it.
  const metadata = Object.create(null) as Record<string, MetadataValue>;
  for (const key of keys) metadata[key] = strings.get(key) ?? parsed[key];
  return metadata;
}

/** Checks what the parser would misread, or take at its word and run far for. */
async function checkFixedPart(source: ByteSource): Promise<void> {
  const bytes = new Uint8Array(Math.min(FIXED_BYTES, source.sizeBytes));
  await source.read(bytes, 0);
  const text = new TextDecoder('latin1').decode(bytes);
  if (!text.startsWith('GGUF')) throw notGguf(source, text);
  if (bytes.length < FIXED_BYTES) throw headerCutShort(source);
  const view = new DataView(bytes.buffer);
  checkVersion(source, view.getUint32(4, true));
  const numTensors = view.getBigUint64(8, true);
  const numKeys = view.getBigUint64(16, true);
  if (numTensors > BigInt(MAX_TENSORS) || numKeys > BigInt(MAX_TENSORS)) {
    const claim = `${numTensors} tensors and ${numKeys} metadata keys`;
    throw new KvantError('MODEL_INVALID', `${quote(source.name)} claims ${claim}: it is damaged, download it again`);
  }
  const leastBytes = FIXED_BYTES + Number(numKeys) * MIN_KEY_BYTES + Number(numTensors) * MIN_TENSOR_BYTES;
  if (leastBytes > source.sizeBytes) throw headerCutShort(source, leastBytes);
}

function checkVersion(source: ByteSource, version: number): void {
  if (version === 2 || version === 3) return;
  const bigEndian = (version & 0xffff) === 0 && version !== 0;
  const message = bigEndian
    ? `${quote(source.name)} is a big-endian GGUF file: convert it with llama.cpp's gguf_convert_endian.py`
    : `${quote(source.name)} is GGUF version ${version}, Kvant reads versions 2 and 3: convert the model again`;
  throw new KvantError('MODEL_UNSUPPORTED', message);
}

/** Runs the parser, which takes no open file: the source answers its requests as an HTTP server would. */
async function parse(source: ByteSource, stripped: StrippedFile): Promise<GGUFParseOutput> {
  try {
    return await gguf('https://file.invalid/model.gguf', { fetch: (_url, init) => readRange(source, stripped, init) });
  } catch (cause) {
    if (cause instanceof KvantError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `the header of ${quote(source.name)} is damaged (${reason.slice(0, 200)}): download it again`;
    throw new KvantError('MODEL_INVALID', message, { cause });
  }
}

async function readRange(source: ByteSource, stripped: StrippedFile, init?: RequestInit): Promise<Response> {
  const { Range: header = '' } = (init?.headers ?? {}) as Readonly<Record<string, string>>;
  const range = /^bytes=(\d+)-(\d+)$/.exec(header);
  if (!range) throw new Error('the GGUF parser asked for no byte range');
  const sizeBytes = source.sizeBytes - stripped.removedBytes;
  const start = Number(range[1]);
  if (start >= sizeBytes + READ_AHEAD_BYTES) throw headerCutShort(source);
  const end = Math.min(Number(range[2]) + 1, sizeBytes);
  const bytes = new Uint8Array(Math.max(0, end - start));
  await readStripped(source, stripped, bytes, start);
  // What the parser uses of a response. A real one costs a tenth of a second: Node loads its HTTP client for it.
  return { headers: NO_HEADERS, arrayBuffer: async () => bytes.buffer } as unknown as Response;
}

async function readStripped(
  source: ByteSource,
  { head, removedBytes }: StrippedFile,
  into: Uint8Array,
  start: number,
): Promise<void> {
  const fromHead = head.subarray(start, start + into.length);
  into.set(fromHead);
  const rest = into.subarray(fromHead.length);
  if (rest.length > 0) await source.read(rest, start + fromHead.length + removedBytes);
}

function refuseShards(source: ByteSource, metadata: Metadata): void {
  const numShards = Number(metadata['split.count'] ?? 0);
  if (!(numShards > 1)) return;
  const message =
    `${quote(source.name)} is one of ${numShards} parts of a split model: ` +
    'put them together with "llama-gguf-split --merge FIRST_PART MERGED.gguf" and open that';
  throw new KvantError('MODEL_UNSUPPORTED', message);
}

function readAlignment(source: ByteSource, metadata: Metadata): number {
  const value = metadata['general.alignment'] ?? DEFAULT_ALIGNMENT_BYTES;
  const alignment = typeof value === 'bigint' ? Number(value) : value;
  if (typeof alignment === 'number' && alignment <= MAX_ALIGNMENT_BYTES && Number.isInteger(Math.log2(alignment))) {
    return alignment;
  }
  const message =
    `${quote(source.name)} has general.alignment ${quote(String(value))}, expected a power of two up to ` +
    `${MAX_ALIGNMENT_BYTES}: convert the model again`;
  throw new KvantError('MODEL_INVALID', message);
}

function notGguf(source: ByteSource, text: string): KvantError {
  if (text.startsWith('version https://git-')) {
    return new KvantError(
      'MODEL_NOT_GGUF',
      `${quote(source.name)} is a Git LFS pointer, not the model itself: run "git lfs pull"`,
    );
  }
  const what = source.sizeBytes === 0 ? 'is empty' : `starts with ${quote(text.slice(0, 4))}, not with "GGUF"`;
  const message = `${quote(source.name)} is not a GGUF file: it ${what}. Give a model in GGUF format`;
  return new KvantError('MODEL_NOT_GGUF', message);
}

function headerCutShort(source: ByteSource, leastBytes?: number): KvantError {
  const expected = leastBytes === undefined ? 'more than that' : `at least ${formatBytes(leastBytes)}`;
  const message =
    `${quote(source.name)} is cut short: the file has ${formatBytes(source.sizeBytes)}, ` +
    `its header alone needs ${expected}. Download it again`;
  return new KvantError('MODEL_TRUNCATED', message);
}
