import assert from 'node:assert/strict';
import { test } from 'node:test';
import { f16PageLayout, PAGE_UNIT_BYTES, sealedPageLayout } from '../../cache/page-layout.ts';
import { parseKvFormat, type KvFormat } from '../../quant/kv-format.ts';
import { LayerGroups, usedBytes } from './layer-groups.ts';

const SHAPE = { numLayers: 30, numKvHeads: 3, headDim: 64 };

function bytesOf(length: number): Uint8Array {
  return new Uint8Array(length).map((_, i) => (i * 7 + (i >> 6) * 13) % 251);
}

test('an arena is cut into as few buffers as the device needs, with layers shared out evenly', () => {
  const cut = (arenaBytes: number, mostBytes: number): readonly number[] => {
    const { count, layersPerGroup } = LayerGroups.for(30, arenaBytes, mostBytes);
    return [count, layersPerGroup];
  };
  assert.deepEqual(cut(0, 100), [1, 30]);
  assert.deepEqual(cut(100, 100), [1, 30]);
  assert.deepEqual(cut(101, 100), [2, 15]);
  assert.deepEqual(cut(390, 100), [5, 6]);
  assert.deepEqual(cut(590, 100), [6, 5]);
  assert.deepEqual(cut(3000, 100), [30, 1]);
  assert.deepEqual(cut(4000, 100), [30, 1]);
});

test('pages that follow each other do not overlap in any buffer, whatever their formats, and come back as they were', () => {
  for (const layersPerGroup of [30, 15, 8, 7, 4, 1]) {
    const groups = new LayerGroups(30, layersPerGroup);
    const layouts = ['q4', 'q8', 'k3v1', 'q2', 'f16'].map((name) => sealedPageLayout(parseKvFormat(name, 64), SHAPE));
    layouts.push(f16PageLayout(4, SHAPE), f16PageLayout(64, SHAPE));
    let unit = 5;
    for (const layout of [...layouts, ...layouts]) {
      groups.check(layout);
      const start = groups.scale(unit * PAGE_UNIT_BYTES);
      assert.equal(start % 16, 0);
      unit += layout.pageBytes / PAGE_UNIT_BYTES;
      const room = groups.scale(unit * PAGE_UNIT_BYTES) - start;
      const parts = groups.layoutsOf(layout);
      assert.ok(parts.every((part) => usedBytes(part) <= room && usedBytes(part) % 16 === 0));
      assert.equal(
        parts.reduce((sum, part) => sum + part.layers.length, 0),
        30,
      );
      const page = bytesOf(layout.pageBytes).fill(0, usedBytes(layout));
      assert.deepEqual(groups.join(layout, groups.split(layout, page)), page);
    }
  }
});

test('a format that spends most of its bits in one group is refused', () => {
  const format = parseKvFormat('q4', 64);
  const layerBits = Array.from({ length: 30 }, (_, layer) => {
    const bits = layer < 5 ? 8 : 2;
    return { k: bits, v: bits } as const;
  });
  const uneven = sealedPageLayout({ ...format, layerBits } satisfies KvFormat, SHAPE);
  new LayerGroups(30, 30).check(uneven);
  assert.throws(() => new LayerGroups(30, 10).check(uneven), {
    code: 'OUT_OF_MEMORY',
    message:
      /lies in 3 buffers, .* equally many bits in all layers: choose another KV format, lower --ctx, or use --backend wasm$/,
  });
});
