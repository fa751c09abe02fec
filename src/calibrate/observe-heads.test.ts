import assert from 'node:assert/strict';
import { test } from 'node:test';
import { writeGguf } from '../../test/support/gguf-writer.ts';
import { Pages } from '../kernels/reference/pages.ts';
import { ReferenceKernels } from '../kernels/reference/reference-kernels.ts';
import { createStepPages } from '../kernels/step-pages.ts';
import { openModelFile } from '../model/model-file.ts';
import { MemorySource } from '../model/testing/memory-source.ts';
import { TINY, tinyLlama } from '../model/testing/tiny-llama.ts';
import { Transformer } from '../model/transformer.ts';
import { loadWeights } from '../model/weights.ts';
import { parseKvFormat } from '../quant/kv-format.ts';
import { HeadObserver } from './observe-heads.ts';

const PAGE_SIZE = 64;
const { numLayers, numHeads, numKvHeads, headDim } = TINY;
const NUM_PAIRS = headDim / 2;

async function setUp(format = 'f16'): Promise<{ kernels: ReferenceKernels; transformer: Transformer }> {
  const model = await openModelFile(new MemorySource(writeGguf(tinyLlama())));
  const { hyperparameters, ropeFrequencies } = model;
  const kernels = new ReferenceKernels({
    shape: hyperparameters,
    numHeads: hyperparameters.numHeads,
    format: parseKvFormat(format, hyperparameters.headDim),
    ropeFrequencies,
    maxRows: PAGE_SIZE,
    maxContext: 4 * PAGE_SIZE,
    numThreads: 1,
  });
  return { kernels, transformer: new Transformer(kernels, await loadWeights(kernels, model, {}), hyperparameters) };
}

function tokenIds(count: number, seed: number): number[] {
  return Array.from({ length: count }, (_, i) => (i * i + seed * i + seed) % TINY.vocabulary);
}

/** [layer][query head]: [numTokens, headDim], as `forward` shows them; and the pages that it has filled. */
async function runPlainly(
  { kernels, transformer }: Awaited<ReturnType<typeof setUp>>,
  tokens: readonly number[],
): Promise<{ queries: number[][][]; sealed: Pages }> {
  const numPages = tokens.length / PAGE_SIZE;
  const pages = createStepPages(kernels, numPages, 1);
  const queries = Array.from({ length: numLayers }, () => Array.from({ length: numHeads }, (): number[] => []));
  for (let page = 0; page < numPages; page++) {
    const place = {
      firstRow: 0,
      numRows: PAGE_SIZE,
      firstPosition: page * PAGE_SIZE,
      openPage: 0,
      sinkPage: undefined,
      pages,
    };
    const segment = { ...place, sealInto: page, sealedPages: Array.from({ length: page }, (_, i) => i) };
    const ids = tokens.slice(page * PAGE_SIZE, (page + 1) * PAGE_SIZE);
    await transformer.forward({ tokenIds: ids, segments: [segment], outputRows: [] }, (layer, queryRow) => {
      for (let row = 0; row < PAGE_SIZE; row++) {
        const values = queryRow(row);
        queries[layer].forEach((head, h) => head.push(...values.subarray(h * headDim, (h + 1) * headDim)));
      }
    });
  }
  const sealed = new Pages(pages.sealed.layout, numPages);
  for (let page = 0; page < numPages; page++) sealed.pageBytes(page).set(kernels.readPage(pages.sealed, page));
  return { queries, sealed };
}

test('keys and values are what pages hold, queries what attention is given, of every layer and head', async () => {
  const model = await setUp();
  const tokens = tokenIds(2 * PAGE_SIZE, 3);
  const { queries, sealed } = await runPlainly(model, tokens);
  const observed = await new HeadObserver(model.kernels, model.transformer, 200).observe(tokens, 0);
  for (let layer = 0; layer < numLayers; layer++) {
    for (let head = 0; head < numKvHeads; head++) {
      for (const kind of ['k', 'v'] as const) {
        const stored = [0, 1].flatMap((page) => [...sealed.readTile({ page, layer, head, kind }, PAGE_SIZE)]);
        const found = kind === 'k' ? observed.keys(layer, head) : observed.values(layer, head);
        assert.deepEqual([...found], stored, `${kind}, layer ${layer}, head ${head}`);
      }
    }
    for (let head = 0; head < numHeads; head++) {
      assert.deepEqual([...observed.queries(layer, head)], queries[layer][head], `layer ${layer}, query head ${head}`);
    }
  }
});

/** Largest difference in a rotary pair, as a part of the pair's length. */
function pairError(actual: Float32Array, expected: Float32Array): number {
  assert.equal(actual.length, expected.length);
  let most = 0;
  for (let head = 0; head < actual.length; head += headDim) {
    for (let i = head; i < head + NUM_PAIRS; i++) {
      const difference = Math.hypot(actual[i] - expected[i], actual[i + NUM_PAIRS] - expected[i + NUM_PAIRS]);
      most = Math.max(most, difference / Math.hypot(expected[i], expected[i + NUM_PAIRS]));
    }
  }
  return most;
}

test('with an offset, the first layer has the queries (1e-5) and keys (2^-9) of tokens that stand so much later', async () => {
  const { kernels, transformer } = await setUp();
  const observer = new HeadObserver(kernels, transformer, 3 * PAGE_SIZE);
  const tokens = tokenIds(PAGE_SIZE, 3);
  const before = tokenIds(2 * PAGE_SIZE, 5);
  // The first layer's keys and queries depend on the token and its position alone.
  const later = await observer.observe([...before, ...tokens], 0);
  const moved = await observer.observe(tokens, 2 * PAGE_SIZE);
  const start = 2 * PAGE_SIZE * headDim;
  for (let head = 0; head < numKvHeads; head++) {
    const error = pairError(moved.keys(0, head), later.keys(0, head).subarray(start));
    assert.ok(error < 2 ** -9, `keys of head ${head}: ${error}`);
    assert.deepEqual(moved.values(0, head), later.values(0, head).subarray(start));
  }
  for (let head = 0; head < numHeads; head++) {
    const error = pairError(moved.queries(0, head), later.queries(0, head).subarray(start));
    assert.ok(error < 1e-5, `queries of head ${head}: ${error}`);
  }
});

test('an offset leaves values as they are and scores as they were (1e-4), and asking twice gives the same', async () => {
  const { kernels, transformer } = await setUp();
  const observer = new HeadObserver(kernels, transformer, PAGE_SIZE);
  const tokens = tokenIds(PAGE_SIZE, 3);
  const scoresOf = (queries: Float32Array, keys: Float32Array): number[] =>
    [0, 5, 40, 63].flatMap((q) =>
      [0, 17, 63].map((k) => {
        let score = 0;
        for (let c = 0; c < headDim; c++) score += queries[q * headDim + c] * keys[k * headDim + c];
        return score;
      }),
    );
  const [near, far] = [await observer.observe(tokens, 0), await observer.observe(tokens, 1000)];
  const [expected, actual] = [near, far].map((each) => scoresOf(each.queries(1, 3), each.keys(1, 1)));
  actual.forEach((score, i) => assert.ok(Math.abs(score - expected[i]) < 1e-4, `${score}, not ${expected[i]}`));
  assert.notDeepEqual(far.keys(1, 1), near.keys(1, 1));
  assert.deepEqual(far.values(1, 1), near.values(1, 1));
  for (const name of ['queries', 'keys', 'values'] as const) assert.deepEqual(far[name](1, 1), far[name](1, 1));
});

test('other formats than f16 and texts of no whole pages are refused', async () => {
  const { kernels, transformer } = await setUp();
  await assert.rejects(new HeadObserver(kernels, transformer, 64).observe([1, 2, 3], 0), {
    name: 'RangeError',
    message: '3 tokens are not whole pages of 64',
  });
  const quantized = await setUp('q4');
  assert.throws(() => new HeadObserver(quantized.kernels, quantized.transformer, 64), {
    name: 'RangeError',
    message: 'heads are observed on an f16 cache, not q4',
  });
});
