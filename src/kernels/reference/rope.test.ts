import assert from 'node:assert/strict';
import { test } from 'node:test';
import { normalStream } from '../../../test/random-data.ts';
import { rope } from './rope.ts';

const FREQUENCIES = Array.from({ length: 8 }, (_, i) => 10000 ** (-i / 8));

test('quarter turns take pairs where they should, and leave channels beyond ropeDim (absolute error < 1e-15)', () => {
  const head = Float64Array.of(1, 0, 0, 1, 5, 6);
  rope(head, 3, [Math.PI / 6, Math.PI / 6]);
  [0, -1, 1, 0, 5, 6].forEach((value, i) => assert.ok(Math.abs(head[i] - value) < 1e-15, `${head[i]} at ${i}`));
});

test('position 0 changes nothing', () => {
  const head = new Float64Array(16).map(normalStream(1));
  const before = head.slice();
  rope(head, 0, FREQUENCIES);
  assert.deepEqual(head, before);
});

test('scores depend on the distance of positions alone, and lengths stay (absolute error < 1e-11)', () => {
  const normal = normalStream(2);
  const [query, key] = [new Float64Array(16).map(normal), new Float64Array(16).map(normal)];
  const at = (head: Float64Array, position: number): Float64Array => {
    const turned = head.slice();
    rope(turned, position, FREQUENCIES);
    return turned;
  };
  const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, value, i) => sum + value * b[i], 0);
  const near = dot(at(query, 9), at(key, 2));
  const far = dot(at(query, 8007), at(key, 8000));
  assert.ok(Math.abs(near - far) < 1e-11);
  assert.ok(Math.abs(dot(at(query, 777), at(query, 777)) - dot(query, query)) < 1e-11);
  assert.ok(Math.abs(near - dot(query, key)) > 1e-3);
});
