import assert from 'node:assert/strict';
import { test } from 'node:test';
import { heldBack, type PrefixCandidate, type RunningPrefill } from './held-back.ts';

const GEOMETRY = { pageSize: 8, numSinkTokens: 4 };
const TOKENS = Array.from({ length: 60 }, (_, i) => i);

/** The first `numShared` tokens are those of the candidate. */
function prefill(numShared: number, length: number, changes: Partial<RunningPrefill> = {}): RunningPrefill {
  const tokens = Array.from({ length }, (_, i) => (i < numShared ? TOKENS[i] : 1000 + i));
  return { tokens, numComputed: 0, chain: 'x', ...changes };
}

function isHeldBack(prefills: RunningPrefill[], changes: Partial<PrefixCandidate> = {}, geometry = GEOMETRY): boolean {
  return heldBack({ tokens: TOKENS, numHitTokens: 0, chain: 'x', ...changes }, prefills, geometry);
}

test('a request waits for full pages that somebody else computes, not for parts of one', () => {
  assert.equal(isHeldBack([]), false);
  assert.equal(isHeldBack([prefill(11, 50)]), false);
  assert.equal(isHeldBack([prefill(12, 50)]), true);
  assert.equal(isHeldBack([prefill(7, 50)], {}, { pageSize: 8, numSinkTokens: 0 }), false);
  assert.equal(isHeldBack([prefill(8, 50)], {}, { pageSize: 8, numSinkTokens: 0 }), true);
  assert.equal(isHeldBack([prefill(3, 50), prefill(30, 50)]), true);
});

test('it does not wait for pages that it has, of another chain, or that the prompt does not fill', () => {
  assert.equal(isHeldBack([prefill(12, 50)], { numHitTokens: 12 }), false);
  assert.equal(isHeldBack([prefill(20, 50)], { numHitTokens: 12 }), true);
  assert.equal(isHeldBack([prefill(30, 50, { chain: 'y' })]), false);
  assert.equal(isHeldBack([prefill(11, 11)]), false);
});

test('it does not wait for a page that its own prompt ends with: the last token is computed in any case', () => {
  assert.equal(isHeldBack([prefill(60, 60)], { tokens: TOKENS.slice(0, 12) }), false);
  assert.equal(isHeldBack([prefill(60, 60)], { tokens: TOKENS.slice(0, 13) }), true);
});

test('it waits for all of a prompt that is its own, also where that fills no page, but for a few tokens', () => {
  const own = (length: number, changes: Partial<RunningPrefill> = {}): boolean =>
    isHeldBack([prefill(length, length, changes)], { tokens: TOKENS.slice(0, length), numHitTokens: 0 });
  assert.equal(own(10), true);
  assert.equal(own(6), true);
  assert.equal(own(5), false);
  assert.equal(own(12), false); // sealed as soon as it is computed
  assert.equal(own(13), true);
  assert.equal(own(14), true);
  assert.equal(own(10, { chain: 'y' }), false);
  assert.equal(isHeldBack([prefill(9, 10)], { tokens: TOKENS.slice(0, 10) }), false);
});

test('it stops waiting when the shared pages are computed, even where they are gone again', () => {
  assert.equal(isHeldBack([prefill(20, 50, { numComputed: 19 })]), true);
  assert.equal(isHeldBack([prefill(20, 50, { numComputed: 20 })]), false);
});

test('many requests of one prefix: one computes it, all others start when it is done, none waits for ever', () => {
  const waiting = Array.from({ length: 5 }, (_, i) => [...TOKENS.slice(0, 52), 100 + i, 200 + i]);
  const running: { tokens: number[]; numComputed: number; chain: string }[] = [];
  const starts: number[] = [];
  let numCached = 0;
  for (let step = 0; step < 40; step++) {
    for (const tokens of [...waiting]) {
      const candidate = { tokens, numHitTokens: numCached, chain: 'x' };
      const prefills = running.filter((each) => each.numComputed < each.tokens.length);
      if (heldBack(candidate, prefills, GEOMETRY)) continue;
      waiting.splice(waiting.indexOf(tokens), 1);
      running.push({ tokens, numComputed: numCached, chain: 'x' });
      starts.push(step);
    }
    for (const each of running) each.numComputed = Math.min(each.tokens.length, each.numComputed + 4);
    numCached = Math.max(...running.map(({ numComputed }) => 4 + 8 * Math.floor((Math.min(52, numComputed) - 4) / 8)));
  }
  assert.equal(starts[0], 0);
  assert.deepEqual(starts.slice(1), [13, 13, 13, 13]); // 52 tokens by 4
});
