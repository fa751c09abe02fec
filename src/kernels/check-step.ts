import { tileBits, type KvFormat, type TileBits, type TileKind } from '../quant/kv-format.ts';
import type { KernelsConfig, PageArena, PageMemory, RowSet, Segment, Step, StepPages } from './kernels.ts';
import { openPageEnd, openPageNumber } from './step-pages.ts';

/**
 * Checks every rule of `Step` that does not need a model, for all backends: rows, positions, page indices, and that
 * tiles are sealed exactly when a page becomes full.
 *
 * @param formats those that have been added to the kernels
 * @throws RangeError that says which rule which segment breaks
 */
export function checkStep(step: Step, config: KernelsConfig, formats: ReadonlySet<KvFormat>): void {
  const numRows = step.tokenIds.length;
  check(numRows >= 1, 'a step has at least one row');
  check(numRows <= config.maxRows, `a step of ${numRows} rows: at most ${config.maxRows} fit`);
  let nextRow = 0;
  const checked = new Set<StepPages>();
  step.segments.forEach((segment, index) => {
    if (!checked.has(segment.pages)) checkPageMemories(segment.pages, formats, `segment ${index}`);
    checked.add(segment.pages);
    checkRows(segment, nextRow, `segment ${index}`);
    checkPositions(segment, config, `segment ${index}`);
    checkPages(segment, `segment ${index}`);
    nextRow += segment.numRows;
  });
  check(nextRow === numRows, `segments cover ${nextRow} rows of ${numRows}`);
  checkOutputRows(step.outputRows, numRows);
  checkWrites(step.segments);
}

/** @throws RangeError if an id is not a row of a table of `numRows` */
export function checkTokenIds(tokenIds: readonly number[], numRows: number): void {
  tokenIds.forEach((id, row) => {
    check(isIndex(id, numRows), `token id ${id} at row ${row} is not in [0, ${numRows})`);
  });
}

/** Rows that a buffer has in a step. */
export function numRowsOf(step: Step, rows: RowSet): number {
  return rows === 'step' ? step.tokenIds.length : step.outputRows.length;
}

/** @throws RangeError if the step, or the absence of one, left no such row in a buffer */
export function checkRow(row: number, step: Step | undefined, rows: RowSet): void {
  const numRows = step ? numRowsOf(step, rows) : 0;
  check(isIndex(row, numRows), `row ${row} is not in [0, ${numRows})`);
}

function checkRows({ firstRow, numRows }: Segment, nextRow: number, what: string): void {
  check(firstRow === nextRow, `${what} starts at row ${firstRow}: row ${nextRow} is next`);
  check(isCount(numRows) && numRows >= 1, `${what} has ${numRows} rows`);
}

function checkPositions(segment: Segment, config: KernelsConfig, what: string): void {
  const { firstPosition, numRows, pages } = segment;
  check(isCount(firstPosition), `${what} starts at position ${firstPosition}`);
  const end = firstPosition + numRows;
  check(end <= config.maxContext, `${what} ends at position ${end}, beyond the context of ${config.maxContext}`);
  const pageEnd = openPageEnd(firstPosition, pages.format);
  check(end <= pageEnd, `${what} ends at position ${end}, beyond its open page's end ${pageEnd}`);
}

function checkPages(segment: Segment, what: string): void {
  const { pages, sealedPages, openPage, sinkPage, sealInto, firstPosition, numRows } = segment;
  const { format } = pages;
  const numBefore = openPageNumber(firstPosition, format);
  const found = `names ${sealedPages.length} sealed pages: ${numBefore} come before its own`;
  check(sealedPages.length === numBefore, `${what} at position ${firstPosition} ${found}`);
  for (const page of sealedPages) checkPage(page, pages.sealed, `${what}: sealed page`);
  checkPage(openPage, pages.open, `${what}: open page`);
  if (pages.sink) {
    check(sinkPage !== undefined, `${what} names no sink page`);
    checkPage(sinkPage, pages.sink, `${what}: sink page`);
  } else {
    check(sinkPage === undefined, `${what} names a sink page, and the format ${format.name} has none`);
  }
  if (firstPosition + numRows === openPageEnd(firstPosition, format)) {
    check(sealInto !== undefined, `${what} fills its open page and does not say where to seal it`);
    checkPage(sealInto, pages.sealed, `${what}: page to seal into`);
    check(!sealedPages.includes(sealInto), `${what} would seal into page ${sealInto}, which it reads`);
  } else {
    check(sealInto === undefined, `${what} is to be sealed and does not fill its open page`);
  }
}

/** That the format is known, and each kind of page holds as many tokens, and as many bits, as it says. */
function checkPageMemories(
  { format, sealed, open, sink }: StepPages,
  formats: ReadonlySet<KvFormat>,
  what: string,
): void {
  check(formats.has(format), `${what} is in the format ${format.name}, which has not been added (addFormat)`);
  const isSealed = hasBits(sealed, (kind, layer) => tileBits(format, kind, layer));
  check(
    sealed.layout.numTokens === format.pageSize && isSealed,
    `${what}: sealed pages have another layout than ${format.name}`,
  );
  check(
    open.layout.numTokens === format.pageSize && hasBits(open, () => 16),
    `${what}: open pages are not f16 pages of ${format.pageSize} tokens`,
  );
  const numSinkTokens = sink ? sink.layout.numTokens : 0;
  check(
    numSinkTokens === format.numSinkTokens && (!sink || hasBits(sink, () => 16)),
    `${what}: sink pages are not f16 pages of ${format.numSinkTokens} tokens`,
  );
}

function hasBits({ layout }: PageMemory, bitsOf: (kind: TileKind, layer: number) => TileBits): boolean {
  return layout.layers.every(({ kBits, vBits }, layer) => kBits === bitsOf('k', layer) && vBits === bitsOf('v', layer));
}

function checkOutputRows(outputRows: readonly number[], numRows: number): void {
  let previous = -1;
  for (const row of outputRows) {
    check(isIndex(row, numRows), `output row ${row} is not in [0, ${numRows})`);
    check(row > previous, `output row ${row} comes after row ${previous}: they must ascend`);
    previous = row;
  }
}

/** That all pages which the step writes start at places of their own. (Of an arena, that could still overlap.) */
function checkWrites(segments: readonly Segment[]): void {
  const written = new Map<PageMemory | PageArena, Map<number, string>>();
  const add = (field: string, memory: PageMemory, page: number): void => {
    const place = memory.arena ?? memory;
    const fields = written.get(place) ?? new Map<number, string>();
    const other = fields.get(page);
    check(other !== field, `two segments write to page ${page} (${field})`);
    check(other === undefined, `page ${page} of an arena is both ${other} and ${field}`);
    written.set(place, fields.set(page, field));
  };
  for (const { pages, openPage } of segments) add('openPage', pages.open, openPage);
  for (const { pages, sealInto } of segments) if (sealInto !== undefined) add('sealInto', pages.sealed, sealInto);
}

function checkPage(page: number, memory: PageMemory, what: string): void {
  check(isIndex(page, memory.numPages), `${what} ${page} is not in [0, ${memory.numPages})`);
}

function isCount(value: number): boolean {
  return Number.isInteger(value) && value >= 0;
}

function isIndex(value: number, length: number): boolean {
  return isCount(value) && value < length;
}

function check(condition: boolean, message: string): asserts condition {
  if (!condition) throw new RangeError(message);
}
