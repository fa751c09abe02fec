import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMemorySize } from './memory-size.ts';

test('sizes are decimal, or binary with an i, in any case', () => {
  const cases: [string, number][] = [
    ['2GB', 2e9],
    ['1.5GiB', 1.5 * 2 ** 30],
    ['800MB', 800e6],
    [' 800 mb ', 800e6],
    ['64KiB', 65_536],
    ['512b', 512],
    ['0.5TB', 5e11],
    ['1.0000001kB', 1000],
  ];
  for (const [text, bytes] of cases) assert.equal(parseMemorySize(text), bytes, text);
});

test('what is no size, has no unit or is nothing is undefined', () => {
  for (const text of [
    '',
    '2',
    'GB',
    '2XB',
    '-1GB',
    '1e3MB',
    '0MB',
    '0.2B',
    '1,5GB',
    '2GBs',
    '2 GB 3',
    '99999999TB',
    '1toString',
  ]) {
    assert.equal(parseMemorySize(text), undefined, text);
  }
});
