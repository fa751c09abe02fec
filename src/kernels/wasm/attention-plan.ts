import {
  FLOAT_SCRATCH_BYTES,
  MAX_UNIT_QUERIES,
  ROW_BYTES,
  ROW_INDEX_IN_PAGE,
  ROW_PAGE,
  ROW_PAGE_TOKENS,
  ROW_SEGMENT,
  ROW_TOKEN,
  SEGMENT_BYTES,
  SEGMENT_FIRST_PART,
  SEGMENT_FIRST_POSITION,
  SEGMENT_FIRST_ROW,
  SEGMENT_NUM_PARTS,
  SEGMENT_NUM_ROWS,
  SEGMENT_NUM_SEALED,
  SEGMENT_OPEN_PAGE,
  SEGMENT_PARAMETERS,
  SEGMENT_SEAL_INTO,
  SEGMENT_SEALED_LIST,
  SEGMENT_SINK_PAGE,
  UNIT_BYTES,
  UNIT_END_SPLIT,
  UNIT_F16,
  UNIT_FIRST_ROW,
  UNIT_FIRST_SPLIT,
  UNIT_KV_HEAD,
  UNIT_NUM_ROWS,
  UNIT_PART,
  UNIT_SEGMENT,
} from './assembly/commands.ts';
import type { KernelsConfig, Segment, Step, StepPages } from '../kernels.ts';
import type { SharedMemory } from './shared-memory.ts';

const WORD = 4;
/** Sealed tokens in a part: small enough that a single row at 1,024 tokens feeds several threads. */
export const SPLIT_TOKENS = 512;
/**
 * Segments of at most this many rows (a token and drafts of 16 more) are cut by pages, so that one sequence's decode feeds all threads; longer
 * ones by rows.
 */
export const MAX_DECODE_ROWS = 17;
/** Query vectors of a unit of prefill: enough that a page's unpacking is shared, few enough that the unit's scratch stays in L2. */
const PREFILL_QUERIES = 48;
/** Rows that can be cut by pages in one step; the rest of a larger batch is cut by rows. */
export const MAX_SPLIT_ROWS = 32;

/** Where a segment's pages are, by kind and index, and its format's parameters. */
export interface PageAddresses {
  readonly parameters: number;
  sealed(page: number): number;
  open(page: number): number;
  sink(page: number): number;
}

/** What the kernels read about a step: rows, segments, lists of pages, and the units of attention. */
export class AttentionPlan {
  readonly rowsAddress: number;
  readonly unitsAddress: number;
  readonly sealListAddress: number;
  readonly splitPages: number;
  readonly maxParts: number;
  numUnits = 0;
  numToSeal = 0;
  readonly #config: KernelsConfig;
  readonly #memory: SharedMemory;
  readonly #segmentsAddress: number;
  readonly #pageListAddress: number;
  readonly #maxSplits: number;
  readonly #group: number;

  constructor(memory: SharedMemory, config: KernelsConfig) {
    const { maxRows, maxContext, shape, format } = config;
    this.#config = config;
    this.#memory = memory;
    this.#group = config.numHeads / shape.numKvHeads;
    this.splitPages = SPLIT_TOKENS / format.pageSize;
    const maxPages = Math.ceil(maxContext / format.pageSize);
    this.#maxSplits = Math.ceil(maxPages / this.splitPages);
    const numSplitRows = Math.min(maxRows, MAX_SPLIT_ROWS);
    this.maxParts = maxRows + numSplitRows * (this.#maxSplits + 1);
    const maxUnits = shape.numKvHeads * this.maxParts;
    this.rowsAddress = memory.allocate(maxRows * ROW_BYTES, 'the rows of a step');
    this.#segmentsAddress = memory.allocate(maxRows * SEGMENT_BYTES, 'the segments of a step');
    this.sealListAddress = memory.allocate(maxRows * WORD, 'the list of pages to seal');
    this.#pageListAddress = memory.allocate(maxRows * maxPages * WORD, 'the page lists of a step');
    this.unitsAddress = memory.allocate(maxUnits * UNIT_BYTES, 'the units of attention');
  }

  /** Writes a step that has been checked. */
  write(step: Step, addressesOf: (pages: StepPages) => PageAddresses): void {
    this.numUnits = 0;
    this.numToSeal = 0;
    let pageList = this.#pageListAddress;
    let firstPart = 0;
    let splitRows = 0;
    step.segments.forEach((segment, index) => {
      const pages = addressesOf(segment.pages);
      const address = this.#segmentsAddress + index * SEGMENT_BYTES;
      const numSplits = Math.ceil(segment.sealedPages.length / this.splitPages);
      const byPages = segment.numRows <= MAX_DECODE_ROWS && splitRows + segment.numRows <= MAX_SPLIT_ROWS;
      if (byPages) splitRows += segment.numRows;
      const numParts = byPages ? numSplits + 1 : 1;
      this.#writeSegment(segment, address, { pageList, numParts, firstPart }, pages);
      pageList += segment.sealedPages.length * WORD;
      firstPart += segment.numRows * numParts;
      this.#writeRows(step, segment, address, pages);
      if (byPages) this.#addUnitsByPages(segment, address, numSplits);
      else this.#addUnitsByRows(segment, address, numSplits);
      if (segment.sealInto !== undefined) {
        this.#memory.words(this.sealListAddress + this.numToSeal * WORD, 1)[0] = address;
        this.numToSeal += 1;
      }
    });
  }

  #writeSegment(
    segment: Segment,
    address: number,
    { pageList, numParts, firstPart }: { pageList: number; numParts: number; firstPart: number },
    pages: PageAddresses,
  ): void {
    const words = this.#memory.words(address, SEGMENT_BYTES / WORD);
    words[SEGMENT_FIRST_ROW / WORD] = segment.firstRow;
    words[SEGMENT_NUM_ROWS / WORD] = segment.numRows;
    words[SEGMENT_FIRST_POSITION / WORD] = segment.firstPosition;
    words[SEGMENT_OPEN_PAGE / WORD] = pages.open(segment.openPage);
    words[SEGMENT_SINK_PAGE / WORD] = segment.sinkPage === undefined ? 0 : pages.sink(segment.sinkPage);
    words[SEGMENT_NUM_SEALED / WORD] = segment.sealedPages.length;
    words[SEGMENT_SEALED_LIST / WORD] = pageList;
    words[SEGMENT_SEAL_INTO / WORD] = segment.sealInto === undefined ? 0 : pages.sealed(segment.sealInto);
    words[SEGMENT_NUM_PARTS / WORD] = numParts;
    words[SEGMENT_FIRST_PART / WORD] = firstPart;
    words[SEGMENT_PARAMETERS / WORD] = pages.parameters;
    const list = this.#memory.words(pageList, segment.sealedPages.length);
    segment.sealedPages.forEach((page, i) => (list[i] = pages.sealed(page)));
  }

  #writeRows(step: Step, segment: Segment, segmentAddress: number, pages: PageAddresses): void {
    const { numSinkTokens, pageSize } = segment.pages.format;
    const pageStart = numSinkTokens + segment.sealedPages.length * pageSize;
    for (let i = 0; i < segment.numRows; i++) {
      const row = segment.firstRow + i;
      const position = segment.firstPosition + i;
      const inSink = position < numSinkTokens && segment.sinkPage !== undefined;
      const words = this.#memory.words(this.rowsAddress + row * ROW_BYTES, ROW_BYTES / WORD);
      words[ROW_TOKEN / WORD] = step.tokenIds[row];
      words[ROW_PAGE / WORD] =
        inSink && segment.sinkPage !== undefined ? pages.sink(segment.sinkPage) : pages.open(segment.openPage);
      words[ROW_PAGE_TOKENS / WORD] = inSink ? numSinkTokens : pageSize;
      words[ROW_INDEX_IN_PAGE / WORD] = inSink ? position : position - pageStart;
      words[ROW_SEGMENT / WORD] = segmentAddress;
    }
  }

  /** A unit per KV head and part. */
  #addUnitsByPages(segment: Segment, address: number, numSplits: number): void {
    const rowsPerUnit = Math.max(1, Math.floor(MAX_UNIT_QUERIES / this.#group));
    for (let row = 0; row < segment.numRows; row += rowsPerUnit) {
      const numRows = Math.min(rowsPerUnit, segment.numRows - row);
      for (let head = 0; head < this.#config.shape.numKvHeads; head++) {
        for (let split = 0; split < numSplits; split++) {
          this.#addUnit(address, segment.firstRow + row, numRows, head, [split, split + 1], false, split);
        }
        this.#addUnit(address, segment.firstRow + row, numRows, head, [0, 0], true, numSplits);
      }
    }
  }

  /** A unit per KV head and tile of rows, with all parts, merged within the unit. */
  #addUnitsByRows(segment: Segment, address: number, numSplits: number): void {
    const rowsPerUnit = Math.max(1, Math.floor(PREFILL_QUERIES / this.#group));
    for (let row = 0; row < segment.numRows; row += rowsPerUnit) {
      const numRows = Math.min(rowsPerUnit, segment.numRows - row);
      for (let head = 0; head < this.#config.shape.numKvHeads; head++) {
        this.#addUnit(address, segment.firstRow + row, numRows, head, [0, numSplits], true, 0);
      }
    }
  }

  #addUnit(
    segment: number,
    firstRow: number,
    numRows: number,
    head: number,
    splits: readonly [number, number],
    withF16: boolean,
    part: number,
  ): void {
    const words = this.#memory.words(this.unitsAddress + this.numUnits * UNIT_BYTES, UNIT_BYTES / WORD);
    words[UNIT_SEGMENT / WORD] = segment;
    words[UNIT_FIRST_ROW / WORD] = firstRow;
    words[UNIT_NUM_ROWS / WORD] = numRows;
    words[UNIT_KV_HEAD / WORD] = head;
    words[UNIT_FIRST_SPLIT / WORD] = splits[0];
    words[UNIT_END_SPLIT / WORD] = splits[1];
    words[UNIT_F16 / WORD] = withF16 ? 1 : 0;
    words[UNIT_PART / WORD] = part;
    this.numUnits += 1;
  }
}

/** Bytes of a thread's scratch: the fields of assembly/tile-scratch.ts, or weights and sums of a product in float32. */
export function threadScratchBytes(config: KernelsConfig): number {
  return Math.max(tileScratchBytes(config), FLOAT_SCRATCH_BYTES);
}

function tileScratchBytes({ shape, format }: KernelsConfig): number {
  const d = shape.headDim;
  const p = format.pageSize;
  const padded = Math.ceil(d / 32) * 32;
  const wide = Math.max(padded, p);
  const tiles = wide * Math.max(d, p) + 12 * Math.max(d, p) + 128 + 8 * p * d;
  const metadata = 4 * p + 8 * padded + 8 * p;
  const query = 2 * wide + 32 + 4 * p + 2 * stateBytes(d);
  return tiles + metadata + MAX_UNIT_QUERIES * query;
}

/** A softmax state: maximum, sum, 8 bytes unused, one accumulator a channel. */
export function stateBytes(headDim: number): number {
  return 16 + 4 * headDim;
}
