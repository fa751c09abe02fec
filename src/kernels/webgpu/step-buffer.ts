import type { KvFormat } from '../../quant/kv-format.ts';
import type { KernelsConfig, Segment, Step } from '../kernels.ts';
import type { GpuDevice, GpuRange } from './gpu-device.ts';
import type { GpuArena, GpuPages } from './gpu-pages.ts';
import type { ShaderConstants } from './shader-constants.ts';

/** The segments of a step that are in one format. */
export interface FormatPart {
  readonly format: KvFormat;
  readonly arena: GpuArena;
  readonly slot: number;
  readonly numRows: number;
  /** Units of attention. */
  readonly numUnits: number;
  readonly numSeals: number;
}

/**
 * Sealed pages that a unit of attention takes, from so many of a row on; below, one. The more a row has, the fewer parts of it are to be merged, as long as there are
 * units enough to keep a GPU busy. Measured on an H200; of 102,400 tokens in q8, units of 8 pages take 16% longer, in q4 2% less.
 */
const PAGES_A_UNIT = [
  { fromPages: 128, perUnit: 4 },
  { fromPages: 64, perUnit: 2 },
] as const;
/** Tokens in f16 that a unit takes (shaders/attend-open.wgsl). */
const OWN_UNIT_TOKENS = 16;
/** Formats that have a place in a step, whether it uses them or not. */
export const MAX_FORMATS = 128;
// As shaders/step.wgsl has them, in words.
const HEADER_WORDS = 4;
const FORMAT_WORDS = 5;
const ROW_WORDS = 8;
const ROW_FIRST_PART = 4;
const UNIT_WORDS = 4;
const BLOCK_WORDS = 2;
const SEAL_WORDS = 2;

/** Blocks of a row beside its sealed pages, each a unit: of the sink page and its own, whose tokens are at most a page's. */
function ownBlocks({ numSinkTokens, pageSize }: KvFormat): number {
  return Math.ceil(numSinkTokens / OWN_UNIT_TOKENS) + Math.ceil(pageSize / OWN_UNIT_TOKENS);
}

/** Word offsets of the lists, and what they have room for. */
interface Lists {
  readonly OUTPUT_ROWS: number;
  readonly ROWS: number;
  readonly ROW_LIST: number;
  readonly UNITS: number;
  readonly BLOCKS: number;
  readonly SEALS: number;
  readonly end: number;
}

function listsOf({ maxRows, maxContext, format }: KernelsConfig, maxUnits: number): Lists {
  const maxPages = Math.ceil(maxContext / format.pageSize);
  const OUTPUT_ROWS = HEADER_WORDS + MAX_FORMATS * FORMAT_WORDS;
  const ROWS = OUTPUT_ROWS + maxRows;
  const ROW_LIST = ROWS + maxRows * ROW_WORDS;
  const SEALS = ROW_LIST + maxRows;
  const UNITS = SEALS + maxRows * SEAL_WORDS;
  const BLOCKS = UNITS + maxUnits * UNIT_WORDS;
  const end = BLOCKS + maxRows * (maxPages + ownBlocks(format)) * BLOCK_WORDS;
  return { OUTPUT_ROWS, ROWS, ROW_LIST, SEALS, UNITS, BLOCKS, end };
}

/** By how many there are, hence by a row's position alone, whatever else a step has. */
function pagesPerUnit(numPages: number): number {
  return PAGES_A_UNIT.find(({ fromPages }) => numPages >= fromPages)?.perUnit ?? 1;
}

function numSealedUnits(numPages: number): number {
  return Math.ceil(numPages / pagesPerUnit(numPages));
}

/** Units that a row can have over up to so many sealed pages. */
function mostUnits(maxPages: number): number {
  const ends = [maxPages, ...PAGES_A_UNIT.map(({ fromPages }) => Math.min(maxPages, fromPages - 1))];
  return Math.max(...ends.map(numSealedUnits));
}

/** What the shaders read about a step (shaders/step.wgsl): rows, units of attention, blocks of tokens, tiles to seal. */
export class StepBuffer {
  readonly range: GpuRange;
  /** Parts of attention that a step can have. */
  readonly maxParts: number;
  readonly #gpu: GpuDevice;
  readonly #pages: GpuPages;
  readonly #lists: Lists;
  readonly #words: Uint32Array;
  #numUnits = 0;
  #numBlocks = 0;
  #numRowsListed = 0;
  #numSeals = 0;
  #numParts = 0;

  /** Bytes of the lists, and parts of attention that a step can have. */
  static sizesOf(config: KernelsConfig): { numBytes: number; maxParts: number } {
    const { maxRows, maxContext, format } = config;
    const maxParts = maxRows * (ownBlocks(format) + mostUnits(Math.ceil(maxContext / format.pageSize)));
    return { numBytes: listsOf(config, maxParts).end * 4, maxParts };
  }

  constructor(gpu: GpuDevice, pages: GpuPages, config: KernelsConfig) {
    this.maxParts = StepBuffer.sizesOf(config).maxParts;
    this.#gpu = gpu;
    this.#pages = pages;
    this.#lists = listsOf(config, this.maxParts);
    this.#words = new Uint32Array(this.#lists.end);
    this.range = gpu.allocate(this.#words.byteLength, 'the steps');
  }

  /** Of step.wgsl. */
  constants(slot = 0): ShaderConstants {
    const { OUTPUT_ROWS, ROWS, ROW_LIST, UNITS, BLOCKS, SEALS } = this.#lists;
    return { OUTPUT_ROWS, ROWS, ROW_LIST, UNITS, BLOCKS, SEALS, SLOT: slot };
  }

  /** Writes a step that has been checked, and sends it to the device. @param slotOf where a format's numbers lie */
  write(step: Step, slotOf: (format: KvFormat) => number): FormatPart[] {
    this.#numUnits = 0;
    this.#numBlocks = 0;
    this.#numRowsListed = 0;
    this.#numSeals = 0;
    this.#numParts = 0;
    this.#words[0] = step.tokenIds.length;
    this.#words[1] = step.outputRows.length;
    this.#words.set(step.outputRows, this.#lists.OUTPUT_ROWS);
    const groups = this.#group(step.segments);
    const parts = groups.map((segments) => this.#writeFormat(step, segments, slotOf(segments[0].pages.format)));
    this.#send();
    return parts;
  }

  /** The lists as far as they are filled: at long contexts most of their room is not. */
  #send(): void {
    const { UNITS, BLOCKS } = this.#lists;
    const used = [
      [0, UNITS],
      [UNITS, UNITS + this.#numUnits * UNIT_WORDS],
      [BLOCKS, BLOCKS + this.#numBlocks * BLOCK_WORDS],
    ];
    for (const [first, end] of used) this.#gpu.write(this.range, this.#words.subarray(first, end), first * 4);
  }

  /** By format, whose pages must lie in one buffer. */
  #group(segments: readonly Segment[]): Segment[][] {
    const groups = new Map<KvFormat, Segment[]>();
    for (const segment of segments) {
      const group = groups.get(segment.pages.format) ?? [];
      const isOne = group.length === 0 || this.#pages.arenaOf(group[0].pages) === this.#pages.arenaOf(segment.pages);
      if (!isOne) throw new TypeError(`the pages of ${segment.pages.format.name} lie in several arenas`);
      group.push(segment);
      groups.set(segment.pages.format, group);
    }
    return [...groups.values()];
  }

  #writeFormat(step: Step, segments: readonly Segment[], slot: number): FormatPart {
    const { format } = segments[0].pages;
    const [firstRow, firstUnit, firstSeal] = [this.#numRowsListed, this.#numUnits, this.#numSeals];
    for (const segment of segments) this.#writeRows(step, segment);
    for (const segment of segments) this.#addOwnUnits(segment);
    const firstSealed = this.#numUnits;
    for (const segment of segments) this.#addSealedUnits(segment);
    for (const segment of segments) this.#addSeal(segment);
    const header = [firstRow, firstUnit, firstSealed, this.#numUnits, firstSeal];
    this.#words.set(header, HEADER_WORDS + slot * FORMAT_WORDS);
    return {
      format,
      arena: this.#pages.arenaOf(segments[0].pages),
      slot,
      numRows: this.#numRowsListed - firstRow,
      numUnits: this.#numUnits - firstUnit,
      numSeals: this.#numSeals - firstSeal,
    };
  }

  #writeRows({ tokenIds }: Step, segment: Segment): void {
    const { pages, firstRow, numRows, firstPosition, sealedPages } = segment;
    const { numSinkTokens, pageSize } = pages.format;
    const pageStart = numSinkTokens + sealedPages.length * pageSize;
    for (let i = 0; i < numRows; i++) {
      const [row, position] = [firstRow + i, firstPosition + i];
      const inSink = position < numSinkTokens;
      const page = inSink ? this.#sinkWord(segment) : this.#pages.wordOf(pages.open, segment.openPage);
      const [tokens, index] = inSink ? [numSinkTokens, position] : [pageSize, position - pageStart];
      this.#words.set([tokenIds[row], page, tokens, index], this.#lists.ROWS + row * ROW_WORDS);
      this.#words[this.#lists.ROW_LIST + this.#numRowsListed++] = row;
    }
  }

  /** Units of each row over the sink page and its own, and room for the parts of all its units. */
  #addOwnUnits(segment: Segment): void {
    const { numRows, firstRow, firstPosition, sealedPages, pages } = segment;
    const { numSinkTokens, pageSize } = pages.format;
    const pageStart = numSinkTokens + sealedPages.length * pageSize;
    const numUnits = numSealedUnits(sealedPages.length);
    for (let i = 0; i < numRows; i++) {
      const row = firstRow + i;
      const end = firstPosition + i + 1;
      const firstPart = this.#numParts;
      if (numSinkTokens > 0)
        this.#addOwnUnitsOf(row, this.#sinkWord(segment), Math.min(end, numSinkTokens), numSinkTokens);
      if (end > pageStart) {
        this.#addOwnUnitsOf(row, this.#pages.wordOf(pages.open, segment.openPage), end - pageStart, pageSize);
      }
      this.#numParts += numUnits;
      this.#words.set([firstPart, this.#numParts - firstPart], this.#lists.ROWS + row * ROW_WORDS + ROW_FIRST_PART);
    }
  }

  #addOwnUnitsOf(row: number, pageWord: number, numVisible: number, pageTokens: number): void {
    for (let first = 0; first < numVisible; first += OWN_UNIT_TOKENS) {
      this.#addUnit(row, this.#numBlocks, 1, this.#numParts++);
      this.#addBlock(pageWord, first, Math.min(OWN_UNIT_TOKENS, numVisible - first), pageTokens);
    }
  }

  /** Units of each row over the segment's sealed pages, whose parts are its last ones. */
  #addSealedUnits({ numRows, firstRow, sealedPages, pages }: Segment): void {
    const numPages = sealedPages.length;
    const firstBlock = this.#numBlocks;
    const { pageSize } = pages.format;
    for (const page of sealedPages) this.#addBlock(this.#pages.wordOf(pages.sealed, page), 0, pageSize, pageSize);
    const perUnit = pagesPerUnit(numPages);
    const numUnits = numSealedUnits(numPages);
    for (let row = firstRow; row < firstRow + numRows; row++) {
      const at = this.#lists.ROWS + row * ROW_WORDS + ROW_FIRST_PART;
      const firstPart = this.#words[at] + this.#words[at + 1] - numUnits;
      for (let unit = 0; unit < numUnits; unit++) {
        const count = Math.min(perUnit, numPages - unit * perUnit);
        this.#addUnit(row, firstBlock + unit * perUnit, count, firstPart + unit);
      }
    }
  }

  #addSeal({ pages, openPage, sealInto }: Segment): void {
    if (sealInto === undefined) return;
    const words = [this.#pages.wordOf(pages.open, openPage), this.#pages.wordOf(pages.sealed, sealInto)];
    this.#words.set(words, this.#lists.SEALS + this.#numSeals++ * SEAL_WORDS);
  }

  #addUnit(row: number, firstBlock: number, numBlocks: number, part: number): void {
    // No array for each: at long contexts a step has thousands.
    const at = this.#lists.UNITS + this.#numUnits++ * UNIT_WORDS;
    this.#words[at] = row;
    this.#words[at + 1] = firstBlock;
    this.#words[at + 2] = numBlocks;
    this.#words[at + 3] = part;
  }

  #addBlock(pageWord: number, firstToken: number, numTokens: number, pageTokens: number): void {
    const at = this.#lists.BLOCKS + this.#numBlocks++ * BLOCK_WORDS;
    this.#words[at] = pageWord;
    this.#words[at + 1] = numTokens + firstToken * 256 + pageTokens * 65536;
  }

  #sinkWord({ pages, sinkPage }: Segment): number {
    if (!pages.sink || sinkPage === undefined) throw new RangeError('a position in the sink without a sink page');
    return this.#pages.wordOf(pages.sink, sinkPage);
  }
}
