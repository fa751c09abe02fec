import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseKvFormat, type TileBits } from '../quant/kv-format.ts';
import { tileMetaBytes, tilePlanesBytes } from '../quant/tile-spec.ts';
import type { KvShape, PageLayout } from './page-layout.ts';
import {
  bitsPerElement,
  elementsPerToken,
  f16PageLayout,
  layoutBits,
  metaOffsetBytes,
  planeOffsetBytes,
  sealedPageLayout,
} from './page-layout.ts';

const FORMATS = [
  'f16',
  'q8',
  'q6',
  'q5',
  'q4',
  'q3',
  'q2',
  'q1',
  'k8v4',
  'k4v8',
  'k6v3',
  'k16v4',
  'k4v16',
  'k16v8',
  'k1v16',
];
const SHAPES: KvShape[] = [
  { numLayers: 30, numKvHeads: 3, headDim: 64 },
  { numLayers: 1, numKvHeads: 1, headDim: 16 },
  { numLayers: 3, numKvHeads: 5, headDim: 80 },
  { numLayers: 2, numKvHeads: 1, headDim: 96 },
  { numLayers: 4, numKvHeads: 2, headDim: 256 },
];
const KINDS = ['k', 'v'] as const;

interface Extent {
  readonly start: number;
  readonly end: number;
  readonly what: string;
}

/** Every piece of a page, its size taken from the tile alone, its place from the layout. */
function pieces(layout: PageLayout): Extent[] {
  const { shape, numTokens } = layout;
  const extents: Extent[] = [];
  const add = (what: string, start: number, bytes: number): number => extents.push({ start, end: start + bytes, what });
  for (let layer = 0; layer < shape.numLayers; layer++) {
    for (let head = 0; head < shape.numKvHeads; head++) {
      for (const kind of KINDS) {
        const tile = `${kind} of layer ${layer}, head ${head}`;
        const bits = layoutBits(layout, layer, kind);
        const plane = (index: number): number => planeOffsetBytes(layout, index, layer, head, kind);
        if (bits === 16) {
          add(`f16 ${tile}`, plane(0), numTokens * shape.headDim * 2);
          continue;
        }
        const spec = { kind, bits, numTokens, headDim: shape.headDim };
        add(`metadata ${tile}`, metaOffsetBytes(layout, layer, head, kind), tileMetaBytes(spec));
        tilePlanesBytes(spec).forEach((bytes, index) => add(`plane ${index} ${tile}`, plane(index), bytes));
      }
    }
  }
  return extents.sort((a, b) => a.start - b.start);
}

function assertCovered(layout: PageLayout, label: string): void {
  let end = 0;
  for (const piece of pieces(layout)) {
    assert.equal(piece.start, end, `${label}: ${piece.what}`);
    assert.equal(piece.start % 16, 0, `${label}: ${piece.what} does not start on 16 bytes`);
    end = piece.end;
  }
  assert.equal(layout.pageBytes, Math.ceil(end / 64) * 64, label);
}

test('the pieces of a sealed page follow each other without gaps or overlaps, each on a multiple of 16 bytes', () => {
  for (const shape of SHAPES) {
    for (const name of FORMATS) {
      for (const pageSize of [32, 64, 128]) {
        const format = { ...parseKvFormat(name, shape.headDim), pageSize };
        assertCovered(sealedPageLayout(format, shape), `${name} ${JSON.stringify(shape)} ${pageSize}`);
      }
    }
  }
});

test('so do those of open and sink pages', () => {
  for (const shape of SHAPES) {
    for (const numTokens of [4, 64]) assertCovered(f16PageLayout(numTokens, shape), `${numTokens} tokens`);
  }
});

test('regions come in order: all metadata, then the planes of the high bits, then those of the low bits', () => {
  for (const name of FORMATS) {
    const layout = sealedPageLayout(parseKvFormat(name, 80), SHAPES[2]);
    const order = pieces(layout).map(({ what }) =>
      what.startsWith('metadata') ? 0 : what.startsWith('plane 1') ? 2 : 1,
    );
    assert.deepEqual(order, order.toSorted(), name);
  }
});

test('layers may differ in bits: every piece still has its place', () => {
  const widths: readonly TileBits[] = [16, 8, 6, 5, 4, 3, 2, 1];
  for (const shape of SHAPES) {
    for (let shift = 0; shift < widths.length; shift++) {
      const layerBits = Array.from({ length: shape.numLayers }, (_, layer) => ({
        k: widths[(layer + shift) % 8],
        v: widths[(3 * layer + shift) % 8],
      }));
      const layout = sealedPageLayout({ ...parseKvFormat('q4', shape.headDim), layerBits }, shape);
      assertCovered(layout, JSON.stringify(layerBits));
      layerBits.forEach(({ k, v }, layer) => {
        assert.deepEqual([layoutBits(layout, layer, 'k'), layoutBits(layout, layer, 'v')], [k, v]);
      });
    }
  }
});

test('bits per element with all metadata: 4.36 for q4, 8.36 for q8 at 64 channels and pages of 64 tokens', () => {
  const shape: KvShape = { numLayers: 32, numKvHeads: 8, headDim: 64 };
  const cases: [string, number][] = [
    ['f16', 16],
    ['q8', 8 + 368 / 1024],
    ['q6', 6 + 368 / 1024],
    ['q5', 5 + 368 / 1024],
    ['q4', 4 + 368 / 1024],
    ['q3', 3 + 368 / 1024],
    ['q2', 2 + 368 / 1024],
    ['q1', 1 + 368 / 1024],
    ['k8v4', 6 + 368 / 1024],
    // Only one side has metadata: K's 32 + 64 + 2 * 64 bytes, V's 16 + 2 * 64.
    ['k4v16', 10 + 224 / 1024],
    ['k16v4', 10 + 144 / 1024],
  ];
  for (const [name, expected] of cases) {
    assert.equal(bitsPerElement(sealedPageLayout(parseKvFormat(name, 64), shape)), expected, name);
  }
});

test('a sealed f16 page has the bytes of an open page, and a token has 2 x layers x heads x channels elements', () => {
  for (const shape of SHAPES) {
    const format = parseKvFormat('f16', shape.headDim);
    assert.deepEqual(sealedPageLayout(format, shape), f16PageLayout(format.pageSize, shape));
  }
  assert.equal(elementsPerToken(SHAPES[0]), 11520);
});
