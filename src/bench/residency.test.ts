import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseKvFormat } from '../quant/kv-format.ts';
import { CONVERSATION_TRACE_DEFAULTS, conversationTrace } from './conversation-trace.ts';
import { pageShape, PagedResidency } from './paged-residency.ts';
import { countResident, replayTrace, type ResidencyModel, type ServedTokens } from './residency.ts';
import { numTokensOf, tokensOf } from './trace.ts';

const SHAPE = { numLayers: 2, numKvHeads: 1, headDim: 64 };
const F16 = parseKvFormat('f16', 64);
const Q4 = parseKvFormat('q4', 64);
const HOOKS = { vocabularySize: 1000 };
const PAGE_BYTES = pageShape(F16, SHAPE).sealedUnits * 64;

function tokens(id: number, numTokens: number): number[] {
  return tokensOf([{ id, numTokens }], HOOKS.vocabularySize);
}

function request(tenant: string, prompt: readonly number[], answer: readonly number[] = []): ServedTokens {
  return { tenant, prompt, stored: [...prompt, ...answer] };
}

test('full pages of the same beginning are hits, of the same tenant only', () => {
  const cache = new PagedResidency(Q4, SHAPE, 10 ** 9);
  const prompt = tokens(1, 200);
  assert.equal(cache.serve(request('a', prompt)), 0);
  assert.equal(cache.serve(request('a', [...prompt, 5])), 4 + 3 * 64);
  assert.equal(cache.serve(request('b', [...prompt, 5])), 0);
  assert.equal(cache.serve(request('a', [...prompt.slice(0, 131), 7, 7])), 4 + 64);
  cache.check();
});

test('an answer is a hit of the next turn, and the last token of a prompt never is', () => {
  const cache = new PagedResidency(F16, SHAPE, 10 ** 9);
  const [prompt, answer] = [tokens(1, 100), tokens(2, 92)];
  cache.serve(request('a', prompt, answer));
  assert.equal(cache.serve(request('a', [...prompt, ...answer])), 128);
  assert.equal(cache.serve(request('a', [...prompt, ...answer, 5])), 192);
  assert.equal(cache.cachedTokens('a', [...prompt, ...answer]), 192);
});

test('what was not used for longest goes, its last pages first', () => {
  // An open page beside eight sealed ones.
  const cache = new PagedResidency(F16, SHAPE, 9 * PAGE_BYTES);
  const [a, b, c] = [1, 2, 3].map((id) => tokens(id, 256));
  cache.serve(request('t', a));
  cache.serve(request('t', b));
  cache.serve(request('t', a));
  cache.serve(request('t', c.slice(0, 64)));
  assert.deepEqual(
    [a, b, c].map((each) => cache.cachedTokens('t', each)),
    [256, 192, 64],
  );
  cache.check();
});

test('a request that the whole cache is too small for changes nothing', () => {
  const cache = new PagedResidency(F16, SHAPE, 4 * PAGE_BYTES);
  cache.serve(request('t', tokens(1, 192)));
  assert.equal(cache.serve(request('t', tokens(2, 256))), undefined);
  assert.equal(cache.cachedTokens('t', tokens(1, 192)), 192);
});

test('as many conversations are resident as fit beside an open page', async () => {
  const count = (numBytes: number) => countResident(new PagedResidency(F16, SHAPE, numBytes), 256, HOOKS);
  assert.deepEqual(await count(13 * PAGE_BYTES), { numConversations: 3, numTokens: 768 });
  assert.deepEqual(await count(15 * PAGE_BYTES), { numConversations: 3, numTokens: 896 });
  assert.deepEqual(await count(4 * PAGE_BYTES), { numConversations: 0, numTokens: 0 });
});

/** Keeps everything for ever, token by token. */
class UnlimitedCache implements ResidencyModel {
  readonly #known = new Set<string>();

  serve({ tenant, prompt, stored }: ServedTokens): number {
    const numHit = Math.min(this.cachedTokens(tenant, prompt), prompt.length - 1);
    for (let length = 1; length <= stored.length; length++)
      this.#known.add(`${tenant} ${stored.slice(0, length).join()}`);
    return numHit;
  }

  cachedTokens(tenant: string, prompt: readonly number[]): number {
    let length = 0;
    while (length < prompt.length && this.#known.has(`${tenant} ${prompt.slice(0, length + 1).join()}`)) length++;
    return length;
  }
}

test('a replay adds up prompts and hits, and pages hit at most one page less a request than single tokens would', async () => {
  const options = { ...CONVERSATION_TRACE_DEFAULTS, seed: 3, numConversations: 15, maxTokens: 700 };
  const trace = conversationTrace({ ...options, systemTokens: { median: 100, sigma: 0.2 } });
  const exact = await replayTrace(new UnlimitedCache(), trace, HOOKS);
  assert.equal(exact.numRequests, trace.length);
  assert.equal(
    exact.numPromptTokens,
    trace.reduce((sum, { prompt }) => sum + numTokensOf(prompt), 0),
  );
  // A turn after the first hits all before its message but the last token of the answer, which was never stored.
  const least = trace.reduce(
    (sum, { prompt }) => sum + (prompt.length > 2 ? numTokensOf(prompt.slice(0, -1)) - 1 : 0),
    0,
  );
  assert.ok(exact.numHitTokens >= least && exact.numHitTokens < exact.numPromptTokens);
  const paged = await replayTrace(new PagedResidency(Q4, SHAPE, 10 ** 9), trace, HOOKS);
  assert.ok(paged.numHitTokens <= exact.numHitTokens);
  assert.ok(paged.numHitTokens >= exact.numHitTokens - trace.length * (64 + 4));
});

test('less memory is fewer hits, and requests that do not fit at all are counted', async () => {
  const trace = conversationTrace({ ...CONVERSATION_TRACE_DEFAULTS, seed: 3, numConversations: 60, maxTokens: 8192 });
  const rates: number[] = [];
  for (const numPages of [1000, 60, 30]) {
    const cache = new PagedResidency(F16, SHAPE, numPages * PAGE_BYTES);
    const { numHitTokens, numTooLong } = await replayTrace(cache, trace, HOOKS);
    const isTooLong = trace.filter(({ prompt, output }) => {
      return Math.floor((numTokensOf([...prompt, output]) - 1) / 64) + 1 > numPages;
    });
    assert.equal(numTooLong, isTooLong.length);
    rates.push(numHitTokens);
    cache.check();
  }
  assert.ok(rates[0] > rates[1] && rates[1] > rates[2], String(rates));
});
