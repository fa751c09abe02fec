import assert from 'node:assert/strict';
import { test } from 'node:test';
import { numSealedPages } from '../cache/sequence-pages.ts';
import { load } from '../engine/load-node.ts';
import { parseKvFormat } from '../quant/kv-format.ts';
import { contextOfReturn, ReturnContender } from './return-contender.ts';

const NEVER = new AbortController().signal;

test('the context has room for the sequence, and its last token fills no page in any format', () => {
  for (const format of [parseKvFormat('f16', 64), parseKvFormat('q4', 64)]) {
    for (let numTokens = 1; numTokens < 300; numTokens++) {
      const ctx = contextOfReturn(numTokens);
      assert.ok(ctx > numTokens + 1 && ctx <= numTokens + 1 + 64 + 32);
      assert.equal(numSealedPages(format, ctx), numSealedPages(format, ctx - 1));
    }
  }
});

test('a sequence comes back without any of its pages, or with all that were sealed, in every format', async () => {
  for (const [kv, cached] of [
    ['f16', 192],
    ['q4', 196],
  ] as const) {
    for (const [way, swap, expected] of [
      ['recompute', 'none', 0],
      ['memory', 'memory', cached],
      ['disk', 'disk', cached],
    ] as const) {
      const model = await load({
        model: 'test/models/tiny/llama-d64.Q8_0.gguf',
        kv,
        swap,
        ctx: contextOfReturn(200),
        threads: 1,
      });
      const contender = new ReturnContender(model, way);
      try {
        for (let seed = 1; seed <= 2; seed++) {
          const { ms, cachedTokens } = await contender.measure({ seed, numTokens: 200 }, NEVER);
          assert.equal(cachedTokens, expected, `${kv} ${way}`);
          assert.ok(ms > 0);
        }
      } finally {
        await contender.close();
      }
    }
  }
});

test('a model that keeps what it should lose is found out', async () => {
  const model = await load({
    model: 'test/models/tiny/llama-d64.Q8_0.gguf',
    swap: 'memory',
    ctx: contextOfReturn(200),
    threads: 1,
  });
  const contender = new ReturnContender(model, 'recompute');
  try {
    await assert.rejects(contender.measure({ seed: 1, numTokens: 200 }, NEVER), {
      code: 'ENGINE_FAILED',
      message: 'recompute: 196 of 200 tokens came from pages that were kept',
    });
  } finally {
    await contender.close();
  }
});
