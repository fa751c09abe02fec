import { bitsPerElement, sealedPageLayout, type KvShape } from '../cache/page-layout.ts';
import { numSealedPages } from '../cache/sequence-pages.ts';
import { parseKvFormat, tileBits, type KvFormat } from '../quant/kv-format.ts';
import type { Tokenizer } from '../tokens/tokenizer.ts';
import { checkLayers, estimateOutputKld, KV_LIMITS, neededBits, suggestBits, type SideBits } from './kv-check.ts';
import { observeCache, type ProbedEngine } from './observe-cache.ts';
import { probeTokens } from './probe-text.ts';
import type { KvCheck, KvCheckMode, KvLayerCheck } from './types.ts';

/** Three full pages, sink tokens before them, and a page of queries. */
const PROBE_TOKENS = 260;
/** More bits in a layer change what later ones see, so that a second look may find more; a third has not been needed. */
const MAX_RAISES = 3;

/** An engine that has served no request yet. */
export interface StartedEngine extends ProbedEngine {
  readonly tokenizer: Tokenizer;
}

/**
 * Starts an engine and measures what its KV format loses. In mode `raise`, starts it again with more bits where layers lose too much.
 *
 * @param start an engine in a format; takes the tokenizer of an earlier one
 * @returns the engine to go on with; all others are closed, and all are if anything fails
 * @throws KvantError ENGINE_FAILED, and what `start` throws, such as OUT_OF_MEMORY
 */
export async function checkStarted<Started extends StartedEngine>(
  mode: KvCheckMode,
  format: KvFormat,
  start: (format: KvFormat, tokenizer?: Tokenizer) => Promise<Started>,
): Promise<{ readonly started: Started; readonly check: KvCheck }> {
  // Nothing but this variable holds on to an engine, so that the memory of one that was closed can be let go.
  let started = await start(format);
  try {
    const startMs = performance.now();
    const { tokenizer } = started;
    const { memory } = started;
    const { shape, maxContext } = started.kernels.config;
    const numTokens = Math.min(PROBE_TOKENS, maxContext, memory.longestSequence(memory.defaultCache));
    const skipped = reasonToSkip(format, shape.numLayers, numTokens);
    if (skipped !== undefined) return { started, check: nothingChecked(mode, skipped, format, shape) };
    const { tokens, numTextTokens } = probeTokens(tokenizer, numTokens);
    let seen = await look(started, tokens);
    const asked = seen.layers;
    for (let raises = 0; mode === 'raise' && raises < MAX_RAISES && seen.layers.some(canBeRaised); raises++) {
      const wider = raisedFormat(format, asked, neededBits(seen.observed, seen.layers));
      await started.kernels.close();
      started = await start(wider, tokenizer);
      seen = await look(started, tokens);
    }
    const { observed, layers } = seen;
    const suffers = layers.some((layer) => layer.suffers.length > 0);
    const check: KvCheck = {
      ...{ mode, numTokens, numTextTokens, limits: KV_LIMITS, layers, estimatedKld: estimateOutputKld(layers) },
      raised: asked.filter(({ kBits, vBits }, i) => kBits !== layers[i].kBits || vBits !== layers[i].vBits),
      ...(suffers && { suggestedKv: formatName(suggestBits(observed, layers), shape.headDim) }),
      bitsPerElementBefore: bitsPerElement(sealedPageLayout(format, shape)),
      bitsPerElement: bitsPerElement(started.memory.defaultCache.sealedLayout),
      checkMs: performance.now() - startMs,
    };
    return { started, check };
  } catch (error) {
    await started.kernels.close();
    throw error;
  }
}

async function look(engine: ProbedEngine, tokens: readonly number[]) {
  const observed = await observeCache(engine, tokens);
  return { observed, layers: checkLayers(observed) };
}

function reasonToSkip(format: KvFormat, numLayers: number, numTokens: number): string | undefined {
  const layers = Array.from({ length: numLayers }, (_, layer) => layer);
  const isExact = layers.every((layer) => tileBits(format, 'k', layer) === 16 && tileBits(format, 'v', layer) === 16);
  if (isExact) return `${format.name} quantizes nothing`;
  if (numSealedPages(format, numTokens - 1) > 0) return undefined;
  return `a context of ${numTokens} tokens has no room for a page of ${format.pageSize} that is quantized`;
}

function nothingChecked(mode: KvCheckMode, skipped: string, format: KvFormat, shape: KvShape): KvCheck {
  const bits = bitsPerElement(sealedPageLayout(format, shape));
  return {
    ...{ mode, skipped, numTokens: 0, numTextTokens: 0, limits: KV_LIMITS, layers: [], estimatedKld: 0, raised: [] },
    ...{ bitsPerElementBefore: bits, bitsPerElement: bits, checkMs: 0 },
  };
}

function canBeRaised({ suffers, kBits, vBits }: KvLayerCheck): boolean {
  return suffers.some((kind) => (kind === 'k' ? kBits : vBits) < 8);
}

/** The format with other bits by layer, whose name tells in how many layers. */
function raisedFormat(format: KvFormat, asked: readonly KvLayerCheck[], layerBits: readonly SideBits[]): KvFormat {
  const numRaised = asked.filter(({ kBits, vBits }, i) => kBits !== layerBits[i].k || vBits !== layerBits[i].v).length;
  return { ...format, name: `${format.name} (${numRaised} ${numRaised === 1 ? 'layer' : 'layers'} raised)`, layerBits };
}

/** In its usual spelling. */
function formatName({ k, v }: SideBits, headDim: number): string {
  return parseKvFormat(`k${k}v${v}`, headDim).name;
}
