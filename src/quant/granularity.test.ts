import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseGroupOptions } from './granularity.ts';
import type { GroupOptions } from './granularity.ts';
import { quantize } from './quantize.ts';

function refuses(options: unknown, message: RegExp, shape = [2, 2]): void {
  const tensor = { data: new Float32Array(shape.reduce((size, length) => size * length, 1)), shape };
  const expected = { name: 'KvantError', code: 'INVALID_OPTION', message };
  assert.throws(() => quantize(tensor, options as GroupOptions), expected);
}

test('without more than bits, groups are 64 elements of the last axis, asymmetric', () => {
  const expected = { bits: 4, groupSize: 64, axis: 2, symmetric: false };
  assert.deepEqual(parseGroupOptions({ bits: 4 }, 3), expected);
  const absent = { bits: 4, groupSize: undefined, axis: undefined, symmetric: undefined, granularity: undefined };
  assert.deepEqual(parseGroupOptions(absent as unknown as GroupOptions, 3), expected);
  assert.equal(parseGroupOptions({ bits: 4, axis: -3 }, 3).axis, 0);
  assert.equal(parseGroupOptions({ bits: 4, granularity: 'channel' }, 4).axis, 2);
  assert.equal(parseGroupOptions({ bits: 4, granularity: 'token' }, 0).axis, 0);
});

test('options that cannot be are refused, with the name, what it may be and what it was', () => {
  refuses(undefined, /^options must be an object; got nothing$/);
  refuses(4, /^options must be an object; got 4$/);
  refuses({}, /^option "bits" must be 8, 6, 5, 4, 3, 2 or 1; got nothing$/);
  for (const bits of [0, 7, 9, 16, 2.5, NaN]) refuses({ bits }, /^option "bits" must be 8, 6, 5, 4, 3, 2 or 1; got /);
  refuses({ bits: '4' }, /^option "bits" must be .*; got "4"$/);
  refuses({ bits: 4, granularity: 'row' }, /must be tensor, channel, token, group32, group64, tile; got "row"$/);
  refuses({ bits: 4, granularity: 'toString' }, /^option "granularity" must be /);
  for (const groupSize of [0, -1, 1.5, NaN, '32', 'row']) {
    refuses({ bits: 4, groupSize }, /^option "groupSize" must be tensor, axis or a whole number of at least 1; got /);
  }
  for (const axis of [2, -3, 0.5, NaN, 'last']) {
    refuses({ bits: 4, axis }, /^option "axis" must be a whole number from -2 to 1; got /);
  }
  refuses({ bits: 4, axis: 1 }, /^option "axis" must be a whole number from -1 to 0; got 1$/, []);
  refuses({ bits: 4, symmetric: 1 }, /^option "symmetric" must be true or false; got 1$/);
  refuses(
    { bits: 4, group: 32 },
    /^unknown option "group"; known options: bits, granularity, groupSize, axis, symmetric$/,
  );
  refuses({ bits: 4, kind: 'k' }, /^unknown option "kind"; known options: bits, /);
});

test('a named granularity refuses what it says itself, and a channel needs an axis of tokens', () => {
  refuses(
    { bits: 4, granularity: 'group32', axis: 0 },
    /^granularity "group32" says what "axis" is: give one of them$/,
  );
  refuses({ bits: 4, granularity: 'token', groupSize: 8 }, /^granularity "token" says what "groupSize" is/);
  refuses({ bits: 4, granularity: 'channel' }, /needs a tensor \[\.\.\., tokens, channels\], not 1 axes$/, [3]);
});

test('tiles refuse the options of groups, unknown kinds and widths that no tile has', () => {
  const tile = { bits: 4, granularity: 'tile', kind: 'v' };
  refuses({ ...tile, kind: undefined }, /^option "kind" must be k or v; got nothing$/);
  refuses({ ...tile, kind: 'q' }, /^option "kind" must be k or v; got "q"$/);
  refuses({ ...tile, symmetric: true }, /^unknown option "symmetric"; options of tiles: bits, granularity, kind$/);
  refuses({ ...tile, bits: 7 }, /a v tile has codes of .* bits, not 7$/);
});
