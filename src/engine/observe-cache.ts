import type { Kernels } from '../kernels/kernels.ts';
import type { QueryObserver, Transformer } from '../model/transformer.ts';
import type { KvMemory } from './kv-memory.ts';
import { ObservedCache, type ObservedQuery } from './observed-cache.ts';

/** What a text is run on. */
export interface ProbedEngine {
  readonly kernels: Kernels;
  readonly transformer: Transformer;
  /** Nothing of it is in use; nothing is afterwards. */
  readonly memory: KvMemory;
}

/** Queries that are kept: those of one of so many positions. */
const QUERY_STRIDE = 8;

/**
 * Runs a text through an engine as a prompt is, and keeps what pages held before and after they were sealed, and queries of the last
 * page.
 *
 * @param tokens at least one more than fill a page, and no more than the engine has room for
 * @throws KvantError ENGINE_FAILED
 */
export async function observeCache(engine: ProbedEngine, tokens: readonly number[]): Promise<ObservedCache> {
  const { kernels, transformer, memory } = engine;
  const { config } = kernels;
  const { pages, sealedLayout } = memory.defaultCache;
  const sequence = memory.createSequence();
  const [open, sealed]: Uint8Array[][] = [[], []];
  const queries: ObservedQuery[] = [];
  let sink: Uint8Array | undefined;
  try {
    while (sequence.numTokens < tokens.length) {
      const first = sequence.numTokens;
      const numLeft = tokens.length - first;
      const numRows = Math.min(sequence.numTokensToFull, numLeft, config.maxRows);
      sequence.reserve(numRows);
      const segment = sequence.segment(numRows);
      // Of the page that the text ends in: it sees all others sealed.
      const isLast = numLeft <= sequence.numTokensToFull;
      const observed = isLast ? queriesOf(first, numRows, tokens.length) : [];
      const step = {
        tokenIds: tokens.slice(first, first + numRows),
        segments: [{ ...segment, firstRow: 0, numRows, pages }],
      };
      await transformer.forward({ ...step, outputRows: [] }, observed.length > 0 ? into(observed, first) : undefined);
      queries.push(...observed);
      open[sequence.sealedPages.length] = await kernels.readPage(pages.open, segment.openPage);
      if (pages.sink && segment.sinkPage !== undefined) sink ??= await kernels.readPage(pages.sink, segment.sinkPage);
      if (segment.sealInto !== undefined && !isLast)
        sealed.push(await kernels.readPage(pages.sealed, segment.sealInto));
      sequence.commit(numRows);
    }
  } finally {
    sequence.release();
  }
  return new ObservedCache(config, tokens.length, { open, sealed, sealedLayout, sink }, queries);
}

interface GrowingQuery extends ObservedQuery {
  readonly layers: Float32Array[];
}

function queriesOf(first: number, numRows: number, numTokens: number): GrowingQuery[] {
  return Array.from({ length: numRows }, (_, row): GrowingQuery => ({ position: first + row, layers: [] })).filter(
    ({ position }) => (numTokens - 1 - position) % QUERY_STRIDE === 0,
  );
}

function into(queries: readonly GrowingQuery[], first: number): QueryObserver {
  return (_layer, queryRow) => {
    for (const { position, layers } of queries) layers.push(queryRow(position - first).slice());
  };
}
