import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deserialize, serialize } from 'node:v8';
import { uniformStream } from '../../test/random-data.ts';
import { CODE_BITS, unpackPlanes } from './bit-planes.ts';
import type { CodeBits } from './bit-planes.ts';
import type { GroupOptions, QuantizeOptions } from './granularity.ts';
import type { GroupedTensor } from './grouped-tensor.ts';
import { dequantize, quantize } from './quantize.ts';
import { TENSOR_DATA, tensorData } from './testing/tensor-data.ts';

const SHAPES = [[], [1], [7], [65], [3, 100], [70, 5], [4, 1, 33], [2, 33, 40], [2, 3, 5, 7]];
const GRANULARITIES = ['tensor', 'channel', 'token', 'group32', 'group64'] as const;

/** For each element, in which row of codes it lies, at which column, and in which group: by its coordinates. */
function places({ shape, axis, groupSize }: GroupedTensor): { row: number; col: number; group: number }[] {
  const size = shape.reduce((product, length) => product * length, 1);
  const rowLength = shape[axis] ?? 1;
  const groupsPerRow = typeof groupSize === 'number' ? Math.ceil(rowLength / groupSize) : 1;
  return Array.from({ length: size }, (_, index) => {
    const coordinates: number[] = [];
    let rest = index;
    for (const length of shape.toReversed()) {
      coordinates.unshift(rest % length);
      rest = Math.floor(rest / length);
    }
    const row = coordinates.reduce((sum, c, i) => (i === axis ? sum : sum * shape[i] + c), 0);
    const col = coordinates[axis] ?? 0;
    const inRow = typeof groupSize === 'number' ? Math.floor(col / groupSize) : 0;
    return { row, col, group: groupSize === 'tensor' ? 0 : row * groupsPerRow + inRow };
  });
}

function codesOf({ shape, axis, bits, planes }: GroupedTensor): { codes: Uint8Array; rowLength: number } {
  const size = shape.reduce((product, length) => product * length, 1);
  const rowLength = shape[axis] ?? 1;
  return { codes: unpackPlanes(planes, bits, rowLength === 0 ? 0 : size / rowLength, rowLength), rowLength };
}

/** Asserts that the scales are those of the definition, in float64, and that every element is within the stated bound. */
function assertBound(data: Float32Array, quantized: GroupedTensor, label: string): void {
  const { bits, scales, symmetric, shape } = quantized;
  const result = dequantize(quantized);
  assert.deepEqual(result.shape, shape);
  assert.equal(result.data.length, data.length);
  const ranges = Array.from(scales, () => ({ lo: Infinity, hi: -Infinity }));
  places(quantized).forEach(({ group }, i) => {
    ranges[group].lo = Math.min(ranges[group].lo, data[i]);
    ranges[group].hi = Math.max(ranges[group].hi, data[i]);
    const [error, scale] = [Math.abs(data[i] - result.data[i]), scales[group]];
    if (!(error <= scale / 2 + 2 ** -23 * (Math.abs(data[i]) + scale))) {
      assert.fail(`${label}: ${data[i]} came back as ${result.data[i]} at ${i}, scale ${scale}`);
    }
  });
  ranges.forEach(({ lo, hi }, group) => {
    const magnitude = Math.max(-lo, hi);
    const width = symmetric
      ? bits === 1
        ? 2 * magnitude
        : magnitude / (2 ** (bits - 1) - 1)
      : (hi - lo) / (2 ** bits - 1);
    const largest = Math.min(width * (1 + 2 ** -23) + 2 ** -149, (2 - 2 ** -23) * 2 ** 127);
    if (!(
      scales[group] >= Math.min(width, largest) &&
      scales[group] <= largest &&
      (width > 0 || scales[group] === 0)
    )) {
      assert.fail(`${label}: the scale of group ${group} is ${scales[group]}, not ${width}`);
    }
  });
}

function sameCodesWhenQuantizedAgain(quantized: GroupedTensor, options: GroupOptions, label: string): number {
  const result = dequantize(quantized);
  const again = quantize(result, options);
  const [before, after] = [codesOf(quantized), codesOf(again)];
  const greatest = Array.from(quantized.scales, () => 0);
  const all = places(quantized);
  all.forEach(({ group }, i) => (greatest[group] = Math.max(greatest[group], Math.abs(result.data[i]))));
  let numCompared = 0;
  for (const { row, col, group } of all) {
    const scale = quantized.scales[group];
    if (scale !== 0 && !(scale >= 2 ** -126 && scale >= 2 ** -20 * greatest[group])) continue;
    numCompared++;
    const i = row * before.rowLength + col;
    assert.equal(after.codes[i], before.codes[i], label);
  }
  return numCompared;
}

for (const name of Object.keys(TENSOR_DATA)) {
  test(`${name}: every element comes back within scale / 2 + 2^-23 (|x| + scale), at all widths and granularities`, () => {
    for (const shape of SHAPES) {
      const data = tensorData(name, shape);
      for (const granularity of GRANULARITIES) {
        if (granularity === 'channel' && shape.length < 2) continue;
        for (const bits of CODE_BITS) {
          for (const symmetric of [false, true]) {
            const options = { bits, granularity, symmetric };
            assertBound(data, quantize({ data, shape }, options), JSON.stringify({ shape, ...options }));
          }
        }
      }
    }
  });

  test(`${name}: what has been quantized gets the same codes again, unless scales are near the spacing of float32`, () => {
    let numCompared = 0;
    for (const shape of SHAPES) {
      const data = tensorData(name, shape);
      for (const bits of CODE_BITS) {
        for (const symmetric of [false, true]) {
          for (const groupSize of ['tensor', 'axis', 16] as const) {
            const options = { bits, groupSize, symmetric };
            const label = JSON.stringify({ shape, ...options });
            numCompared += sameCodesWhenQuantizedAgain(quantize({ data, shape }, options), options, label);
          }
        }
      }
    }
    // Of numbers below 2^-126 no scale is large enough, except of 1 bit, and where all are one.
    assert.ok(numCompared > 0);
  });
}

test('any shape, axis, group size and data: within the bound, in 2,000 random cases', () => {
  const random = uniformStream(11);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)];
  const names = Object.keys(TENSOR_DATA);
  for (let trial = 0; trial < 2000; trial++) {
    const rank = Math.floor(random() * 5);
    const longest = [1, 200, 40, 12, 7][rank];
    const shape = Array.from({ length: rank }, () => Math.floor(random() ** 2 * (longest + 1)));
    const axis = Math.floor((random() * 2 - 1) * Math.max(rank, 1));
    const groupSize = pick(['tensor', 'axis', 1, 2, 3, 16, 32, 64, 1000, 1 + Math.floor(random() * 50)] as const);
    const options = { bits: pick(CODE_BITS), axis, groupSize, symmetric: random() < 0.5 };
    const name = pick(names);
    const data = tensorData(name, shape, trial);
    const quantized = quantize({ data, shape }, options);
    assertBound(data, quantized, JSON.stringify({ trial, name, shape, ...options }));
    assert.equal(quantized.axis, axis < 0 ? axis + Math.max(rank, 1) : axis);
  }
});

test('codes do change where scales are a few spacings of float32: 511 steps of 2^-149 need a scale of 3, then 510 one of 2', () => {
  const unit = 2 ** -149;
  const options = { bits: 8, groupSize: 'tensor' } as const;
  const first = quantize({ data: [0, 30 * unit, 511 * unit], shape: [3] }, options);
  const second = quantize(dequantize(first), options);
  assert.deepEqual(
    [first, second].map(({ scales }) => scales[0] / unit),
    [3, 2],
  );
  assert.deepEqual(
    [first, second].map((quantized) => [...codesOf(quantized).codes]),
    [
      [0, 10, 170],
      [0, 15, 255],
    ],
  );
});

test('named granularities are those groups', () => {
  const shape = [2, 70, 100];
  const data = tensorData('Gaussian', shape);
  const same = {
    tensor: { groupSize: 'tensor' },
    channel: { groupSize: 'axis', axis: 1 },
    token: { groupSize: 'axis', axis: 2 },
    group32: { groupSize: 32, axis: -1 },
    group64: { groupSize: 64 },
  } as const;
  const numGroups = { tensor: 1, channel: 200, token: 140, group32: 560, group64: 280 };
  for (const granularity of GRANULARITIES) {
    const named = quantize({ data, shape }, { bits: 5, granularity });
    assert.deepEqual(named, quantize({ data, shape }, { bits: 5, ...same[granularity] }));
    assert.equal(named.scales.length, numGroups[granularity]);
  }
  assert.deepEqual(
    quantize({ data, shape }, { bits: 5 }),
    quantize({ data, shape }, { bits: 5, granularity: 'group64' }),
  );
});

test('constant groups come back exactly, and so do zeros among others where codes are symmetric', () => {
  for (const bits of CODE_BITS) {
    const steps = Float32Array.from({ length: 96 }, (_, i) => [3.14, -1e-40, 3e38][Math.floor(i / 32)]);
    const quantized = quantize({ data: steps, shape: [96] }, { bits, groupSize: 32 });
    assert.deepEqual(dequantize(quantized).data, steps);
    assert.deepEqual([...quantized.scales], [0, 0, 0]);
    const sparse = tensorData('Gaussian', [96]).map((value, i) => (i % 4 === 0 ? value : 0));
    const { data } = dequantize(quantize({ data: sparse, shape: [96] }, { bits, symmetric: true }));
    if (bits > 1) assert.ok(data.every((value, i) => sparse[i] !== 0 || value === 0));
  }
});

test('values that lie on the grid come back exactly, with the codes that one expects', () => {
  const asymmetric = quantize({ data: [-3, -2, -1, 0], shape: [4] }, { bits: 2 });
  assert.deepEqual([...codesOf(asymmetric).codes], [0, 1, 2, 3]);
  assert.deepEqual([asymmetric.scales[0], asymmetric.zeroPoints[0]], [1, -3]);
  assert.deepEqual([...dequantize(asymmetric).data], [-3, -2, -1, 0]);
  const symmetric = quantize({ data: [-3, 0, 2, 1.4], shape: [4] }, { bits: 3, symmetric: true });
  assert.deepEqual([...codesOf(symmetric).codes], [0, 3, 5, 4]);
  assert.deepEqual([symmetric.scales[0], symmetric.zeroPoints.length], [1, 0]);
  assert.deepEqual([...dequantize(symmetric).data], [-3, 0, 2, 1]);
  const signs = quantize({ data: [-3, 1, 2, -0.5], shape: [4] }, { bits: 1, symmetric: true });
  assert.deepEqual([...dequantize(signs).data], [-3, 3, 3, -3]);
});

test('a range beyond the largest float32 number stays finite: with 1 bit, levels move to the middle of the range', () => {
  const largest = (2 - 2 ** -23) * 2 ** 127;
  const data = Float32Array.of(-largest, largest, 0);
  const one = dequantize(quantize({ data, shape: [3] }, { bits: 1 })).data;
  assert.deepEqual([...one], [-largest / 2, largest / 2, largest / 2].map(Math.fround));
  assert.deepEqual([...dequantize(quantize({ data, shape: [3] }, { bits: 2, symmetric: true })).data], [...data]);
});

test('bits per element count codes, padding, scales and zero points', () => {
  const data = new Float32Array(64 * 128);
  const bits = (options: GroupOptions, shape = [64, 128]): number => quantize({ data, shape }, options).bitsPerElement;
  assert.equal(bits({ bits: 4, granularity: 'group32' }), 6);
  assert.equal(bits({ bits: 4, granularity: 'group32', symmetric: true }), 5);
  assert.equal(bits({ bits: 3, granularity: 'group64' }), 4);
  assert.equal(bits({ bits: 8, granularity: 'tensor' }), 8 + 64 / 8192);
  assert.equal(bits({ bits: 4, granularity: 'token' }), 4.5);
  assert.equal(bits({ bits: 4, granularity: 'channel' }), 5);
  assert.equal(bits({ bits: 4, granularity: 'token' }, [512, 16]), 8 + 4);
});

test('empty tensors, and axes of 0 and 1, come back as they are', () => {
  for (const shape of [[0], [0, 5], [5, 0], [3, 0, 2]]) {
    for (const options of [{ bits: 3 }, { bits: 8, groupSize: 'tensor' }, { bits: 1, axis: 0 }] as const) {
      const quantized = quantize({ data: [], shape }, options);
      assert.deepEqual(dequantize(quantized), { data: new Float32Array(0), shape });
      assert.equal(quantized.bitsPerElement, 0);
    }
  }
  for (const shape of [[], [1], [1, 1]]) {
    assert.deepEqual(dequantize(quantize({ data: [0.1], shape }, { bits: 1 })), { data: Float32Array.of(0.1), shape });
  }
});

test('a quantized tensor survives cloning and serialisation, and shares no memory with its source', () => {
  const data = tensorData('Gaussian', [40, 30]);
  const all: QuantizeOptions[] = [{ bits: 5 }, { bits: 4, granularity: 'tile', kind: 'k' }];
  for (const options of all) {
    const quantized = quantize({ data, shape: [40, 30] }, options);
    const expected = dequantize(quantized);
    assert.deepEqual(dequantize(structuredClone(quantized)), expected);
    assert.deepEqual(dequantize(deserialize(serialize(quantized)) as GroupedTensor), expected);
  }
  const shape = [4];
  const source = Float32Array.of(1, 2, 3, 4);
  const quantized = quantize({ data: source, shape }, { bits: 8 });
  source.fill(0);
  shape[0] = 5;
  assert.deepEqual(dequantize(quantized), { data: Float32Array.of(1, 2, 3, 4), shape: [4] });
});

test('numbers come as Float32Array, Float64Array or array, rounded to float32', () => {
  const data = [0.1, 0.7, -0.3];
  const expected = quantize({ data, shape: [3] }, { bits: 8 });
  assert.deepEqual(quantize({ data: Float32Array.from(data), shape: [3] }, { bits: 8 }), expected);
  assert.deepEqual(quantize({ data: Float64Array.from(data), shape: [3] }, { bits: 8 }), expected);
});

test('what is no tensor of finite numbers is refused, with the index and the value', () => {
  const refuses = (data: unknown, shape: unknown, message: RegExp): void => {
    for (const options of [{ bits: 4 }, { bits: 4, granularity: 'tile', kind: 'v' }] as const) {
      const input = { data, shape } as Parameters<typeof quantize>[0];
      assert.throws(() => quantize(input, options), { name: 'KvantError', code: 'INVALID_INPUT', message });
    }
  };
  refuses([1, NaN], [1, 2], /^value NaN at index 1 is not a finite float32 number: replace or clamp it$/);
  refuses(Float32Array.of(0, 0, Infinity), [1, 3], /^value Infinity at index 2 is not a finite/);
  refuses(Float32Array.of(-Infinity), [1, 1], /^value -Infinity at index 0 is not a finite/);
  refuses([1e39], [1, 1], /^value 1e\+39 at index 0 is not a finite float32 number/);
  refuses([1, , 3], [1, 3], /^value undefined at index 1/);
  refuses(['1'], [1, 1], /^value 1 at index 0/);
  refuses([1, 2, 3], [2, 2], /^data has 3 values, but shape \[2, 2\] has 4$/);
  refuses([1], [1.5, 1], /^shape must be a list of whole numbers of at least 0; got \[1\.5,1\]$/);
  refuses([1], [-1, -1], /^shape must be a list/);
  refuses([1], undefined, /^shape must be a list of whole numbers of at least 0; got nothing$/);
  refuses('12', [2, 1], /^data must be a Float32Array, a Float64Array or an array of numbers$/);
  refuses(new Int32Array(2), [2, 1], /^data must be a Float32Array/);
  assert.throws(() => quantize(undefined as never, { bits: 4 }), { code: 'INVALID_INPUT', message: /^shape must be/ });
});

test('a quantized tensor whose fields do not fit each other is refused', () => {
  const good = quantize({ data: tensorData('Gaussian', [3, 40]), shape: [3, 40] }, { bits: 3, groupSize: 32 });
  const refuses = (changes: object, message: RegExp): void => {
    const changed = { ...good, ...changes } as GroupedTensor;
    assert.throws(() => dequantize(changed), { name: 'KvantError', code: 'INVALID_INPUT', message });
  };
  refuses({ granularity: 'rows' }, /^dequantize takes what quantize has returned$/);
  refuses({ shape: [3, 70] }, /^scales must be a Float32Array of 9, one number a group$/);
  refuses({ shape: [3, -1] }, /^shape must be a list/);
  refuses({ bits: 7 as CodeBits }, /no codes of 7 bits$/);
  refuses({ axis: 2 }, /of 2 axes has no axis 2$/);
  refuses({ groupSize: 0 }, /no groups of 0$/);
  refuses({ scales: [...good.scales] }, /^scales must be a Float32Array of 6/);
  refuses({ zeroPoints: good.zeroPoints.slice(1) }, /^zeroPoints must be a Float32Array of 6/);
  refuses({ symmetric: true }, /^zeroPoints must be a Float32Array of 0/);
  refuses({ zeroPoints: good.zeroPoints.map((value, i) => (i === 2 ? NaN : value)) }, /^zeroPoints\[2\] is NaN/);
  refuses({ planes: good.planes.slice(1) }, /^planes must have 48 and 24 bytes, as a Uint8Array each; got 24$/);
  refuses({ planes: [good.planes[0], [...good.planes[1]]] }, /got 48 and NaN$/);
  refuses({ planes: undefined }, /^planes must have 48 and 24 bytes/);
  assert.throws(() => dequantize(undefined as never), { code: 'INVALID_INPUT' });
});
