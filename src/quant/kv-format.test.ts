import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KvantError } from '../errors.ts';
import { AUTO_KV_FORMATS, KV_FORMAT_HELP, KV_FORMAT_LADDER, PAGE_SIZE, parseKvFormat, tileBits } from './kv-format.ts';

test('every spelling gives its bits, under its canonical name', () => {
  const cases: [string, string, number, number][] = [
    ['f16', 'f16', 16, 16],
    ['q8', 'q8', 8, 8],
    ['q6', 'q6', 6, 6],
    ['q5', 'q5', 5, 5],
    ['q4', 'q4', 4, 4],
    ['q3', 'q3', 3, 3],
    ['q2', 'q2', 2, 2],
    ['q1', 'q1', 1, 1],
    ['k6v4', 'k6v4', 6, 4],
    ['k2v1', 'k2v1', 2, 1],
    ['k3v3', 'q3', 3, 3],
    ['k16v16', 'f16', 16, 16],
    ['k8v8', 'q8', 8, 8],
    ['k4v4', 'q4', 4, 4],
    ['k8v4', 'k8v4', 8, 4],
    ['k4v8', 'k4v8', 4, 8],
    ['k16v4', 'k16v4', 16, 4],
    ['k4v16', 'k4v16', 4, 16],
    ['k16v8', 'k16v8', 16, 8],
    ['k8v16', 'k8v16', 8, 16],
  ];
  for (const [name, canonical, kBits, vBits] of cases) {
    const format = parseKvFormat(name, 64);
    assert.deepEqual([format.name, format.k.bits, format.v.bits], [canonical, kBits, vBits]);
    assert.equal(format.pageSize, PAGE_SIZE);
  }
});

test('sink tokens are kept by every format but f16', () => {
  assert.equal(parseKvFormat('f16', 64).numSinkTokens, 0);
  for (const name of ['q8', 'q4', 'k16v4', 'k4v16']) assert.equal(parseKvFormat(name, 64).numSinkTokens, 4);
});

test('a quantized side is rotated where the head size is a power of two, a side in f16 never', () => {
  for (const headDim of [32, 64, 128, 256]) {
    const format = parseKvFormat('k16v4', headDim);
    assert.deepEqual([format.k.rotate, format.v.rotate], [false, true]);
  }
  for (const headDim of [48, 80, 96]) {
    const format = parseKvFormat('q4', headDim);
    assert.deepEqual([format.k.rotate, format.v.rotate], [false, false]);
  }
});

test('unknown names are refused with INVALID_OPTION and all spellings', () => {
  for (const name of ['', 'q7', 'Q4', 'k8', 'k8v7', 'k16', 'q16', 'q44', 'k4v4 ', 'toString', '__proto__']) {
    assert.throws(
      () => parseKvFormat(name, 64),
      (error) =>
        error instanceof KvantError &&
        error.code === 'INVALID_OPTION' &&
        error.message === `unknown KV format "${name}": use ${KV_FORMAT_HELP}`,
    );
  }
});

test('the ladder holds canonical names, each of fewer bits than the one before; auto takes them in the same order', () => {
  const formats = KV_FORMAT_LADDER.map((name) => parseKvFormat(name, 64));
  assert.deepEqual(
    formats.map(({ name }) => name),
    KV_FORMAT_LADDER,
  );
  const bits = formats.map(({ k, v }) => k.bits + v.bits);
  assert.deepEqual(
    bits,
    [...new Set(bits)].sort((a, b) => b - a),
  );
  assert.ok(!AUTO_KV_FORMATS.includes('f16') && AUTO_KV_FORMATS.includes('q4'));
  assert.deepEqual(
    AUTO_KV_FORMATS,
    KV_FORMAT_LADDER.filter((name) => AUTO_KV_FORMATS.includes(name)),
  );
});

test("bits of a layer are those of its own, or the format's", () => {
  const format = parseKvFormat('k8v4', 64);
  assert.deepEqual([tileBits(format, 'k', 1), tileBits(format, 'v', 1)], [8, 4]);
  const layerBits = [
    { k: 5, v: 16 },
    { k: 1, v: 3 },
  ] as const;
  const mixed = { ...format, layerBits };
  assert.deepEqual([tileBits(mixed, 'k', 0), tileBits(mixed, 'v', 0)], [5, 16]);
  assert.deepEqual([tileBits(mixed, 'k', 1), tileBits(mixed, 'v', 1)], [1, 3]);
});
