import type { PageLayout } from '../../cache/page-layout.ts';
import { checkRow, checkStep } from '../../kernels/check-step.ts';
import { HandleTable } from '../../kernels/handles.ts';
import type { Activation, Kernels, KernelsConfig, PageMemory, Segment, Step } from '../../kernels/kernels.ts';
import { openPageNumber } from '../../kernels/step-pages.ts';
import type { KvFormat } from '../../quant/kv-format.ts';
import type { ForwardModel } from '../engine.ts';
import { firstState, logitsOf, mix, sealedEntry } from './token-hash.ts';

/** A byte that no page should be found with: pages are full of them before they are written. */
const GARBAGE = 0xa5;
const ENTRY_BYTES = 4;

type Unused = Omit<
  Kernels,
  'description' | 'config' | 'createPages' | 'readRow' | 'readPage' | 'writePage' | 'memoryUsage' | 'close'
>;

/**
 * Kernels and model in one that compute hashes of tokens (token-hash.ts) and nothing else: thousands of steps a second.
 * Entries are written to and read from the pages that the step names, as plain bytes at the start of each page, so that
 * a page that is not the sequence's own, or not its own any more, changes the logits.
 */
export class HashKernels implements Pick<Kernels, Exclude<keyof Kernels, keyof Unused>>, ForwardModel {
  readonly description = { name: 'reference', threads: 1, isa: 'hashes' } as const;
  readonly config: KernelsConfig;
  readonly logits: Activation;
  /** Called when a step begins; may change it, wait, or throw. */
  onStep: (step: Step) => Step | Promise<Step> = (step) => step;
  readonly #nanPeriod: number;
  readonly #pages = new HandleTable<PageMemory, Uint8Array>('page memory');
  readonly #allPages: Uint8Array[] = [];
  #lastStep: Step | undefined;
  #outputs: Float32Array[] = [];

  /** @param nanPeriod one state in as many gives logits that are not numbers */
  constructor(config: KernelsConfig, vocabularySize: number, nanPeriod: number) {
    this.config = config;
    this.logits = { width: vocabularySize, rows: 'output' } as Activation;
    this.#nanPeriod = nanPeriod;
  }

  /** As what the engine takes. The operations of a model are missing: nobody but a model calls them. */
  asKernels(): Kernels {
    return this as unknown as Kernels;
  }

  createPages(layout: PageLayout, numPages: number): PageMemory {
    if (layout.pageBytes < layout.numTokens * ENTRY_BYTES) throw new RangeError('the pages are too small for entries');
    const bytes = new Uint8Array(layout.pageBytes * numPages).fill(GARBAGE);
    this.#allPages.push(bytes);
    return this.#pages.add({ layout, numPages } as PageMemory, bytes);
  }

  async forward(planned: Step): Promise<void> {
    const step = await this.onStep(planned);
    checkStep(step, this.config);
    checkNobodySealsWhatIsRead(step);
    const states = step.segments.map((segment) => this.#store(step, segment));
    // Once all have stored theirs: what one has overwritten of another's shows.
    step.segments.forEach((segment, index) => this.#checkStored(step, segment, states[index]));
    const byRow = states.flat();
    this.#outputs = step.outputRows.map((row) => logitsOf(byRow[row], this.logits.width, this.#nanPeriod));
    for (const segment of step.segments) this.#seal(step, segment);
    this.#lastStep = step;
  }

  readRow(activation: Activation, row: number): Float32Array {
    checkRow(row, this.#lastStep, activation.rows);
    return this.#outputs[row];
  }

  readPage(pages: PageMemory, page: number): Uint8Array {
    return this.#bytesOf(pages, page).slice();
  }

  writePage(pages: PageMemory, page: number, bytes: Uint8Array): void {
    this.#bytesOf(pages, page).set(bytes);
  }

  memoryUsage(): { weightBytes: number; pageBytes: number; scratchBytes: number } {
    const pageBytes = this.#allPages.reduce((total, { length }) => total + length, 0);
    return { weightBytes: 0, pageBytes, scratchBytes: 0 };
  }

  async close(): Promise<void> {
    this.#lastStep = undefined;
  }

  /** Stores the entries of a segment. @returns the state of each of its rows */
  #store(step: Step, segment: Segment): number[] {
    const { firstRow, numRows, firstPosition } = segment;
    let state = this.#stateBefore(step, segment, firstPosition);
    return step.tokenIds.slice(firstRow, firstRow + numRows).map((token, index) => {
      const entry = mix(state, token);
      this.#own(step, segment, firstPosition + index).write(entry);
      state = mix(state, entry);
      return state;
    });
  }

  /** The state of the last row as the pages give it now. */
  #checkStored(step: Step, segment: Segment, states: readonly number[]): void {
    const state = this.#stateBefore(step, segment, segment.firstPosition + segment.numRows);
    if (state === states.at(-1)) return;
    throw new Error(`the entries from position ${segment.firstPosition} on were overwritten in the same step`);
  }

  /** Hash of all entries before a position of the segment, or after its last one, as its pages hold them. */
  #stateBefore(step: Step, segment: Segment, position: number): number {
    const { format } = this.config;
    const { numSinkTokens, pageSize } = format;
    let state = firstState(format);
    for (let i = 0; i < Math.min(numSinkTokens, position); i++) state = mix(state, this.#own(step, segment, i).read());
    for (const page of segment.sealedPages) {
      for (let i = 0; i < pageSize; i++) state = mix(state, this.#entry(step.pages.sealed, page, i).read());
    }
    const openStart = numSinkTokens + segment.sealedPages.length * pageSize;
    for (let i = openStart; i < position; i++) state = mix(state, this.#own(step, segment, i).read());
    return state;
  }

  #seal(step: Step, { openPage, sealInto }: Segment): void {
    if (sealInto === undefined) return;
    const { format } = this.config;
    for (let i = 0; i < format.pageSize; i++) {
      const entry = this.#entry(step.pages.open, openPage, i).read();
      this.#entry(step.pages.sealed, sealInto, i).write(sealedEntry(entry, format));
    }
  }

  /** Where a position of the sink or of the open page lies. */
  #own({ pages }: Step, { openPage, sinkPage }: Segment, position: number): Entry {
    const { format } = this.config;
    if (position < format.numSinkTokens) return this.#entry(pages.sink as PageMemory, sinkPage as number, position);
    return this.#entry(pages.open, openPage, position - pageStart(position, format));
  }

  #entry(pages: PageMemory, page: number, index: number): Entry {
    const bytes = this.#bytesOf(pages, page);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return {
      read: () => view.getInt32(index * ENTRY_BYTES, true),
      write: (entry) => view.setInt32(index * ENTRY_BYTES, entry, true),
    };
  }

  #bytesOf(pages: PageMemory, page: number): Uint8Array {
    const { pageBytes } = pages.layout;
    return this.#pages.get(pages).subarray(page * pageBytes, (page + 1) * pageBytes);
  }
}

interface Entry {
  read(): number;
  write(entry: number): void;
}

function pageStart(position: number, format: KvFormat): number {
  return format.numSinkTokens + openPageNumber(position, format) * format.pageSize;
}

/** Layers seal one after the other: a page that somebody reads would be half old, half new. */
function checkNobodySealsWhatIsRead({ segments }: Step): void {
  const read = new Set(segments.flatMap(({ sealedPages }) => sealedPages));
  for (const { sealInto } of segments) {
    if (sealInto !== undefined && read.has(sealInto))
      throw new Error(`page ${sealInto} is read and sealed in one step`);
  }
}
