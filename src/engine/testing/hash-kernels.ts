import { PAGE_UNIT_BYTES, type PageLayout } from '../../cache/page-layout.ts';
import { checkRow, checkStep } from '../../kernels/check-step.ts';
import { HandleTable } from '../../kernels/handles.ts';
import type {
  Activation,
  Kernels,
  KernelsConfig,
  PageArena,
  PageMemory,
  Segment,
  Step,
} from '../../kernels/kernels.ts';
import { arenaPageMemory, checkCopy, unitsOf } from '../../kernels/page-units.ts';
import { openPageNumber } from '../../kernels/step-pages.ts';
import type { KvFormat } from '../../quant/kv-format.ts';
import type { ForwardModel } from '../forward-model.ts';
import { firstState, logitsOf, mix, sealedEntry } from './token-hash.ts';

/** A byte that no page should be found with: arenas are full of them before anything is written. */
const GARBAGE = 0xa5;
const ENTRY_BYTES = 4;

type Used =
  | 'description'
  | 'config'
  | 'addFormat'
  | 'createPageArena'
  | 'arenaPages'
  | 'copyUnits'
  | 'readRow'
  | 'readPage'
  | 'writePage'
  | 'memoryUsage'
  | 'close';

/**
 * Kernels and model in one that compute hashes of tokens (token-hash.ts) and nothing else: thousands of steps a second.
 * Entries are written to and read from the pages that the step names, as plain bytes at the start of each page, so that
 * a page that is not the sequence's own, or not its own any more, changes the logits.
 */
export class HashKernels implements Pick<Kernels, Used>, ForwardModel {
  readonly description = { name: 'reference', threads: 1, isa: 'hashes' } as const;
  readonly config: KernelsConfig;
  readonly logits: Activation;
  /** Called when a step begins; may change it, wait, or throw. */
  onStep: (step: Step) => Step | Promise<Step> = (step) => step;
  /** Calls of `copyUnits`. */
  numCopies = 0;
  readonly #nanPeriod: number;
  readonly #formats = new Set<KvFormat>();
  readonly #arenas = new HandleTable<PageArena, Uint8Array>('page arena');
  #pageBytes = 0;
  #isInStep = false;
  #lastStep: Step | undefined;
  #outputs: Float32Array[] = [];

  /** @param nanPeriod one state in as many gives logits that are not numbers */
  constructor(config: KernelsConfig, vocabularySize: number, nanPeriod: number) {
    this.config = config;
    this.logits = { width: vocabularySize, rows: 'output' } as Activation;
    this.#nanPeriod = nanPeriod;
    this.#formats.add(config.format);
  }

  /** As what the engine takes. The operations of a model are missing: nobody but a model calls them. */
  asKernels(): Kernels {
    return this as unknown as Kernels;
  }

  addFormat(format: KvFormat): void {
    this.#assertBetweenSteps('a format is added');
    this.#formats.add(format);
  }

  createPageArena(numBytes: number): PageArena {
    const numUnits = unitsOf(numBytes, 'an arena of pages');
    this.#pageBytes += numBytes;
    return this.#arenas.add({ numUnits } as PageArena, new Uint8Array(numBytes).fill(GARBAGE));
  }

  arenaPages(arena: PageArena, layout: PageLayout): PageMemory {
    if (layout.pageBytes < layout.numTokens * ENTRY_BYTES) throw new RangeError('the pages are too small for entries');
    return arenaPageMemory(arena, layout);
  }

  copyUnits(arena: PageArena, fromUnit: number, toUnit: number, numUnits: number): void {
    this.#assertBetweenSteps('units are copied');
    checkCopy(arena, fromUnit, toUnit, numUnits);
    const start = fromUnit * PAGE_UNIT_BYTES;
    this.#arenas.get(arena).copyWithin(toUnit * PAGE_UNIT_BYTES, start, start + numUnits * PAGE_UNIT_BYTES);
    this.numCopies++;
  }

  async forward(planned: Step): Promise<void> {
    this.#isInStep = true;
    try {
      const step = await this.onStep(planned);
      checkStep(step, this.config, this.#formats);
      checkNothingOverlaps(step);
      this.#run(step);
      this.#lastStep = step;
    } finally {
      this.#isInStep = false;
    }
  }

  readRow(activation: Activation, row: number): Float32Array {
    checkRow(row, this.#lastStep, activation.rows);
    return this.#outputs[row];
  }

  readPage(pages: PageMemory, page: number): Uint8Array {
    return this.#bytesOf(pages, page).slice();
  }

  writePage(pages: PageMemory, page: number, bytes: Uint8Array): void {
    if (bytes.length !== pages.layout.pageBytes) throw new RangeError(`${bytes.length} bytes are not a page`);
    this.#bytesOf(pages, page).set(bytes);
  }

  memoryUsage(): { weightBytes: number; pageBytes: number; scratchBytes: number } {
    return { weightBytes: 0, pageBytes: this.#pageBytes, scratchBytes: 0 };
  }

  async close(): Promise<void> {
    this.#lastStep = undefined;
  }

  #run(step: Step): void {
    const states = step.segments.map((segment) => this.#store(step, segment));
    // Once all have stored theirs: what one has overwritten of another's shows.
    step.segments.forEach((segment, index) => this.#checkStored(segment, states[index]));
    const byRow = states.flat();
    this.#outputs = step.outputRows.map((row) => logitsOf(byRow[row], this.logits.width, this.#nanPeriod));
    for (const segment of step.segments) this.#seal(segment);
  }

  /** Stores the entries of a segment. @returns the state of each of its rows */
  #store({ tokenIds }: Step, segment: Segment): number[] {
    const { firstRow, numRows, firstPosition } = segment;
    let state = this.#stateBefore(segment, firstPosition);
    return tokenIds.slice(firstRow, firstRow + numRows).map((token, index) => {
      const entry = mix(state, token);
      this.#writeOwn(segment, firstPosition + index, entry);
      state = mix(state, entry);
      return state;
    });
  }

  /** The state of the last row as the pages give it now. */
  #checkStored(segment: Segment, states: readonly number[]): void {
    const state = this.#stateBefore(segment, segment.firstPosition + segment.numRows);
    if (state === states.at(-1)) return;
    throw new Error(`the entries from position ${segment.firstPosition} on were overwritten in the same step`);
  }

  /** Hash of all entries before a position of the segment, or after its last one, as its pages hold them. */
  #stateBefore({ pages, sealedPages, openPage, sinkPage }: Segment, position: number): number {
    const { numSinkTokens, pageSize } = pages.format;
    let state = firstState(pages.format);
    if (pages.sink) state = this.#hash(state, pages.sink, sinkPage as number, Math.min(numSinkTokens, position));
    for (const page of sealedPages) state = this.#hash(state, pages.sealed, page, pageSize);
    const openStart = numSinkTokens + sealedPages.length * pageSize;
    return this.#hash(state, pages.open, openPage, Math.max(0, position - openStart));
  }

  /** Adds the first entries of a page to a hash. */
  #hash(state: number, pages: PageMemory, page: number, numEntries: number): number {
    const view = viewOf(this.#bytesOf(pages, page));
    let hash = state;
    for (let i = 0; i < numEntries; i++) hash = mix(hash, view.getInt32(i * ENTRY_BYTES, true));
    return hash;
  }

  #seal({ pages, openPage, sealInto }: Segment): void {
    if (sealInto === undefined) return;
    const [open, sealed] = [this.#bytesOf(pages.open, openPage), this.#bytesOf(pages.sealed, sealInto)].map(viewOf);
    for (let i = 0; i < pages.format.pageSize; i++) {
      const entry = open.getInt32(i * ENTRY_BYTES, true);
      sealed.setInt32(i * ENTRY_BYTES, sealedEntry(entry, pages.format), true);
    }
  }

  /** Writes to a position of the sink or of the open page. */
  #writeOwn({ pages, openPage, sinkPage }: Segment, position: number, entry: number): void {
    const { format } = pages;
    const isSink = position < format.numSinkTokens;
    const page = isSink
      ? this.#bytesOf(pages.sink as PageMemory, sinkPage as number)
      : this.#bytesOf(pages.open, openPage);
    const index = isSink ? position : position - pageStart(position, format);
    viewOf(page).setInt32(index * ENTRY_BYTES, entry, true);
  }

  #bytesOf({ arena, layout }: PageMemory, page: number): Uint8Array {
    const start = page * PAGE_UNIT_BYTES;
    return this.#arenas.get(arena as PageArena).subarray(start, start + layout.pageBytes);
  }

  #assertBetweenSteps(what: string): void {
    if (this.#isInStep) throw new Error(`a step has begun: ${what} between steps`);
  }
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

function pageStart(position: number, format: KvFormat): number {
  return format.numSinkTokens + openPageNumber(position, format) * format.pageSize;
}

/** A page that a segment names, as units of the arena. */
interface NamedPage {
  readonly start: number;
  readonly end: number;
  readonly isWritten: boolean;
}

/** What is written lies apart from all else that the step names: layers are sealed one after the other, beside others that read. */
function checkNothingOverlaps({ segments }: Step): void {
  const named = segments.flatMap(namedPages).sort((a, b) => a.start - b.start || a.end - b.end);
  let [end, isWritten] = [0, false];
  for (const page of named) {
    if (page.start < end && (page.isWritten || isWritten)) {
      throw new Error(`a page at unit ${page.start} overlaps one that ends at ${end}, and one of them is written to`);
    }
    if (page.end > end) [end, isWritten] = [page.end, page.isWritten];
  }
}

function namedPages({ pages, firstPosition, sealedPages, openPage, sinkPage, sealInto }: Segment): NamedPage[] {
  const name = ({ layout }: PageMemory, page: number | undefined, isWritten: boolean): NamedPage[] => {
    if (page === undefined) return [];
    return [{ start: page, end: page + layout.pageBytes / PAGE_UNIT_BYTES, isWritten }];
  };
  return [
    ...sealedPages.flatMap((page) => name(pages.sealed, page, false)),
    ...name(pages.open, openPage, true),
    ...name(pages.sealed, sealInto, true),
    ...(pages.sink ? name(pages.sink, sinkPage, firstPosition < pages.format.numSinkTokens) : []),
  ];
}
