import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cutWindows, measuredPositions } from './windows.ts';

const TOKENS = Array.from({ length: 10 }, (_, i) => 100 + i);

describe('cutWindows', () => {
  it('cuts from the start, without a part of a window at the end', () => {
    const windows = cutWindows(TOKENS, { ctx: 4, windows: 2, mostByDefault: 4 });
    assert.deepEqual(windows, [TOKENS.slice(0, 4), TOKENS.slice(4, 8)]);
  });

  it('takes by default as many as there are, up to a number', () => {
    assert.equal(cutWindows(TOKENS, { ctx: 4, windows: undefined, mostByDefault: 4 }).length, 2);
    assert.equal(cutWindows(TOKENS, { ctx: 2, windows: undefined, mostByDefault: 4 }).length, 4);
  });

  it('puts BOS before the text and in the place of the first token of each window', () => {
    const windows = cutWindows(TOKENS, { ctx: 4, windows: 2, mostByDefault: 4, bosId: 1 });
    assert.deepEqual(windows, [
      [1, 100, 101, 102],
      [1, 104, 105, 106],
    ]);
  });

  it('refuses a text that is too short, with what it has', () => {
    const cut = (ctx: number, windows?: number) => () => cutWindows(TOKENS, { ctx, windows, mostByDefault: 4 });
    const code = 'INVALID_OPTION';
    assert.throws(cut(4, 3), { code, message: /has 10 tokens, room for 2 windows of 4, fewer than 3: use fewer/ });
    assert.throws(cut(11), { code, message: /has 10 tokens, room for 0 windows of 11, .*: use a longer text/ });
  });
});

describe('measuredPositions', () => {
  it('go from the middle to the last but one', () => {
    assert.deepEqual(measuredPositions(8), [4, 5, 6]);
    assert.deepEqual(measuredPositions(9), [4, 5, 6, 7]);
    assert.deepEqual(measuredPositions(2), []);
    assert.equal(measuredPositions(2048).length, 1023);
  });
});
