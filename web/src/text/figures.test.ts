import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatBits, formatBytes, formatMs, formatPercent, formatSpeed, plural } from './figures.ts';

describe('figures', () => {
  it('have few digits, and units', () => {
    assert.deepEqual([0, 940, 9400, 4.214e6, 96.6e6, 210e6, 999_600].map(formatBytes), [
      ...['0 B', '940 B', '9.40 kB', '4.21 MB', '96.6 MB', '210 MB', '1.00 MB'],
    ]);
    assert.deepEqual([0, 320.4, 1440, 24_100].map(formatMs), ['0 ms', '320 ms', '1.4 s', '24 s']);
    assert.deepEqual([4.25, 93.4].map(formatSpeed), ['4.3', '93']);
    assert.deepEqual([4.344, 16].map(formatBits), ['4.34', '16']);
    assert.deepEqual([0, 0.045, 0.745].map(formatPercent), ['0 %', '4.5 %', '75 %']);
    assert.deepEqual(
      [1, 2000].map((value) => plural(value, 'page')),
      ['1 page', '2,000 pages'],
    );
  });

  it('are a dash where there is none', () => {
    assert.deepEqual(
      [formatBytes, formatMs, formatSpeed, formatBits].map((format) => format(undefined)),
      ['–', '–', '–', '–'],
    );
  });
});
