import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { normalStream } from '../../test/random-data.ts';
import { f16PageLayout, sealedPageLayout, type KvShape } from '../cache/page-layout.ts';
import { Pages } from '../kernels/reference/pages.ts';
import { TILE_DATA, tileValues } from '../kernels/testing/tile-data.ts';
import { parseKvFormat, type KvFormat } from '../quant/kv-format.ts';
import { checkLayers, estimateOutputKld, KV_LIMITS, neededBits, suggestBits } from './kv-check.ts';
import { ObservedCache } from './observed-cache.ts';

const SHAPE: KvShape = { numLayers: 2, numKvHeads: 2, headDim: 64 };
const NUM_HEADS = 4;
const NUM_SEALED = 2;
const PAGE_SIZE = 64;
const NUM_SINK = 4;
/** Not a whole page at the end. */
const NUM_TOKENS = NUM_SINK + NUM_SEALED * PAGE_SIZE + 20;

interface SyntheticOptions {
  readonly k?: string;
  readonly v?: string;
  /** How sharp attention is. */
  readonly queryScale?: number;
}

/** A cache of made-up keys and values, sealed by the reference. Layer 1 has the data asked for; layer 0 has zeros. A bias is that of all pages. */
function synthetic(kv: string | KvFormat, { k = 'Gaussian', v = 'Gaussian', queryScale = 0.2 }: SyntheticOptions = {}) {
  const format = typeof kv === 'string' ? { ...parseKvFormat(kv, SHAPE.headDim) } : kv;
  const open = new Pages(f16PageLayout(PAGE_SIZE, SHAPE), NUM_SEALED + 1);
  const sealedLayout = sealedPageLayout(format, SHAPE);
  const sealed = new Pages(sealedLayout, NUM_SEALED);
  const sink = new Pages(f16PageLayout(NUM_SINK, SHAPE), 1);
  for (let head = 0; head < SHAPE.numKvHeads; head++) {
    for (const [kind, data] of [
      ['k', k],
      ['v', v],
    ] as const) {
      const place = { layer: 1, head, kind };
      for (let page = 0; page <= NUM_SEALED; page++) {
        const values = tileValues(
          data,
          PAGE_SIZE,
          SHAPE.headDim,
          10 * head + (kind === 'k' ? 1 : 2) + (data === 'biased' ? 0 : 100 * page),
        );
        open.writeTile({ ...place, page }, values);
        if (page < NUM_SEALED) sealed.writeTile({ ...place, page }, values);
      }
      sink.writeTile({ ...place, page: 0 }, tileValues(data, NUM_SINK, SHAPE.headDim, head));
    }
  }
  const normal = normalStream(5);
  const row = (): Float32Array => new Float32Array(NUM_HEADS * SHAPE.headDim).map(() => queryScale * normal());
  const queries = [NUM_TOKENS - 9, NUM_TOKENS - 1].map((position) => ({ position, layers: [row(), row()] }));
  const bytesOf = (pages: Pages): Uint8Array[] => Array.from({ length: pages.numPages }, (_, i) => pages.pageBytes(i));
  const config = {
    ...{ shape: SHAPE, numHeads: NUM_HEADS, format, ropeFrequencies: [], maxRows: 68, maxContext: 512, numThreads: 1 },
  };
  const pages = { open: bytesOf(open), sealed: bytesOf(sealed), sealedLayout, sink: sink.pageBytes(0) };
  return new ObservedCache(config, NUM_TOKENS, pages, queries);
}

describe('an observed cache', () => {
  test('has sink tokens and the open page as they are, and sealed pages as they are read, to the bit', () => {
    const observed = synthetic('q2');
    const exact = observed.exact(1, 1, 'k');
    const cached = observed.cached(1, 1, 'k');
    assert.equal(exact.length, NUM_TOKENS * SHAPE.headDim);
    const isSealed = (i: number): boolean => {
      const token = Math.floor(i / SHAPE.headDim);
      return token >= NUM_SINK && token < NUM_SINK + NUM_SEALED * PAGE_SIZE;
    };
    exact.forEach((value, i) => assert.ok(isSealed(i) || value === cached[i], `${i}`));
    assert.ok(exact.some((value, i) => isSealed(i) && value !== cached[i]));
    assert.deepEqual(
      exact.subarray(0, SHAPE.headDim),
      Float64Array.from(tileValues('Gaussian', NUM_SINK, SHAPE.headDim, 1)).subarray(0, SHAPE.headDim),
    );
  });

  test('sealed again in other bits is what a cache of that format has, to the bit, for all data', () => {
    for (const data of Object.keys(TILE_DATA)) {
      const [narrow, wide] = [synthetic('q2', { k: data, v: data }), synthetic('q5', { k: data, v: data })];
      for (const kind of ['k', 'v'] as const) {
        assert.deepEqual(narrow.cached(1, 0, kind, 5), wide.cached(1, 0, kind), `${data}, ${kind}`);
        assert.deepEqual(narrow.cached(1, 0, kind, 16), narrow.exact(1, 0, kind), data);
      }
    }
  });
});

describe('the check', () => {
  test('finds the layer that suffers, and on which side', () => {
    const wide = checkLayers(synthetic('q8'));
    assert.deepEqual(
      wide.map(({ suffers }) => suffers),
      [[], []],
    );
    const keys = checkLayers(synthetic('k1v8'));
    assert.deepEqual(
      keys.map(({ suffers }) => suffers),
      [[], ['k']],
    );
    const values = checkLayers(synthetic('k8v1'));
    assert.deepEqual(
      values.map(({ suffers }) => suffers),
      [[], ['v']],
    );
    const { attentionKld, valueError, outputError } = values[1];
    assert.ok(attentionKld < 0.001 && valueError > KV_LIMITS.valueError && outputError > KV_LIMITS.valueError);
    assert.deepEqual([values[0].attentionKld, values[0].outputError, values[0].keyOutlier], [0, 0, 0]);
  });

  test('loses less with every bit', () => {
    const losses = ['q1', 'q2', 'q3', 'q4', 'q5', 'q6', 'q8'].map((kv) => checkLayers(synthetic(kv))[1]);
    losses.slice(1).forEach((loss, i) => {
      assert.ok(loss.attentionKld < losses[i].attentionKld && loss.valueError < losses[i].valueError, `${i}`);
    });
  });

  test('tells outliers and a bias of the keys as the model computed them, rotated or not', () => {
    for (const [data, name, least] of [
      ['outlier', 'keyOutlier', 30],
      ['biased', 'keyBias', 20],
    ] as const) {
      const format = parseKvFormat('q4', SHAPE.headDim);
      const plain = checkLayers(synthetic({ ...format, k: { ...format.k, rotate: false } }, { k: data }))[1];
      assert.ok(plain[name] > least, `${plain[name]}`);
    }
    // What lies in pages is rotated: taken as it lies, it would have channels 40 times as wide.
    const rotated = checkLayers(synthetic('q4', { k: 'outlier' }))[1];
    assert.ok(rotated.keyOutlier < 5, `${rotated.keyOutlier}`);
  });

  test('undoes matrices of heads, of keys for their spread and of values for errors', () => {
    const format = { ...parseKvFormat('q2', SHAPE.headDim) };
    // What is stored is Gaussian; the model's own channel 5 was 40 times as large.
    const inverse = new Float32Array(SHAPE.numLayers * SHAPE.numKvHeads * SHAPE.headDim ** 2);
    inverse.forEach((_, i) => {
      const [row, col] = [Math.floor(i / SHAPE.headDim) % SHAPE.headDim, i % SHAPE.headDim];
      if (row === col) inverse[i] = row === 5 ? 40 : 1;
    });
    const transforms = { headDim: SHAPE.headDim, forward: inverse.map((value) => value && 1 / value), inverse };
    const plain = checkLayers(synthetic({ ...format, k: { ...format.k, rotate: false } }))[1];
    const withMatrices = checkLayers(
      synthetic({ ...format, k: { ...format.k, transforms }, v: { ...format.v, transforms } }),
    )[1];
    assert.ok(plain.keyOutlier < 2 && Math.abs(withMatrices.keyOutlier / 40 - 1) < 0.2, `${withMatrices.keyOutlier}`);
    assert.equal(withMatrices.attentionKld, plain.attentionKld);
    assert.notEqual(withMatrices.valueError, plain.valueError);
  });

  test('a figure that is no number suffers', () => {
    const layers = checkLayers(synthetic('q4', { k: 'Gaussian', queryScale: Infinity }));
    assert.ok(Number.isNaN(layers[1].attentionKld));
    assert.deepEqual(layers[1].suffers, ['k', 'v']);
  });

  test('the fewest bits that are enough: with them a layer passes, with fewer it does not', () => {
    const narrow = synthetic('q1');
    const needed = neededBits(narrow, checkLayers(narrow));
    assert.deepEqual(needed[0], { k: 1, v: 1 });
    const { k, v } = needed[1];
    assert.ok(k > 1 && v > 1 && k < 8 && v < 8, `k${k}v${v}`);
    assert.deepEqual(checkLayers(synthetic(`k${k}v${v}`))[1].suffers, []);
    assert.ok(checkLayers(synthetic(`k${k - 1}v${v}`))[1].suffers.includes('k'));
    assert.ok(checkLayers(synthetic(`k${k}v${v - 1}`))[1].suffers.includes('v'));
    assert.deepEqual(suggestBits(narrow, checkLayers(narrow)), { k, v });
  });

  test('where 8 bits are not enough, 8 are needed and f16 is suggested', () => {
    const wide = synthetic('q8');
    const layers = checkLayers(wide).map((check) => ({ ...check, suffers: check.layer === 1 ? (['k'] as const) : [] }));
    assert.deepEqual(neededBits(wide, layers)[1], { k: 8, v: 8 });
    assert.deepEqual(suggestBits(wide, layers), { k: 16, v: 8 });
  });

  test('layers whose bits differ are taken as they are', () => {
    const format = {
      ...parseKvFormat('q1', SHAPE.headDim),
      layerBits: [
        { k: 4, v: 3 },
        { k: 6, v: 5 },
      ] as const,
    };
    const layers = checkLayers(synthetic(format));
    assert.deepEqual(
      layers.map(({ kBits, vBits }) => [kBits, vBits]),
      [
        [4, 3],
        [6, 5],
      ],
    );
    assert.deepEqual(layers[1].attentionKld, checkLayers(synthetic('k6v5'))[1].attentionKld);
  });
});

test('the estimate is the mean of what layers lose', () => {
  const layers = [
    { attentionKld: 0.02, valueError: 0 },
    { attentionKld: 0, valueError: 0.1 },
  ];
  assert.ok(Math.abs(estimateOutputKld(layers) - (0.4 * 0.02 + 1.5 * 0.01) / 2) < 1e-15);
});
