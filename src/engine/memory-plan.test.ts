import assert from 'node:assert/strict';
import { test } from 'node:test';
import { f16PageLayout, sealedPageLayout } from '../cache/page-layout.ts';
import type { Hyperparameters } from '../model/hyperparameters.ts';
import { parseKvFormat } from '../quant/kv-format.ts';
import { chooseCtx, planMemory, type MemoryDemand } from './memory-plan.ts';

/** SmolLM2-135M. */
const HYPERPARAMETERS: Hyperparameters = {
  architecture: 'llama',
  numLayers: 30,
  embeddingLength: 576,
  feedForwardLength: 1536,
  numHeads: 9,
  numKvHeads: 3,
  headDim: 64,
  ropeDim: 64,
  ropeBase: 10_000,
  ropeScalingFactor: 1,
  rmsEpsilon: 1e-5,
  contextLength: 8192,
  vocabularySize: 49_152,
};

function demand(kv: string, ctx: number, maxSequences = 1): MemoryDemand {
  const format = parseKvFormat(kv, 64);
  return { hyperparameters: HYPERPARAMETERS, format, ctx, maxSequences, weightBytes: 98_000_000 };
}

const WASM = { bytes: 2 ** 32, name: 'the address space of wasm' };
const MACHINE = { bytes: 500e6, name: 'this machine' };

test('the context is what was asked for, the model own by default, and never more than the model has', () => {
  assert.equal(chooseCtx(undefined, 2048), 2048);
  assert.equal(chooseCtx(undefined, 131_072), 8192);
  assert.equal(chooseCtx(131_072, 131_072), 131_072);
  assert.throws(() => chooseCtx(8193, 8192), {
    code: 'INVALID_OPTION',
    message: `option "ctx" must be at most 8,192, the model's context; got 8,193`,
  });
});

test('pages are counted in full for every sequence: sealed ones, an open one and a sink page', () => {
  for (const [kv, numSealed] of [
    ['q4', 127],
    ['f16', 128],
  ] as const) {
    const { format } = demand(kv, 8192);
    const { pageCounts, memory, maxRows } = planMemory(demand(kv, 8192, 3), [WASM]);
    assert.deepEqual(pageCounts, { sealed: 3 * numSealed, open: 3 });
    assert.equal(maxRows, 3 * (64 + format.numSinkTokens));
    const sealed = sealedPageLayout(format, HYPERPARAMETERS).pageBytes;
    const open = f16PageLayout(64, HYPERPARAMETERS).pageBytes;
    const sink = kv === 'q4' ? f16PageLayout(4, HYPERPARAMETERS).pageBytes : 0;
    assert.equal(memory.pageBytes, 3 * (numSealed * sealed + open + sink));
    assert.equal(memory.weightBytes, 98_000_000);
  }
});

test('a step has a row for every sequence, and no more than 256 unless there are more sequences', () => {
  assert.equal(planMemory(demand('q4', 100, 1), [WASM]).maxRows, 68);
  assert.equal(planMemory(demand('q4', 100, 32), [WASM]).maxRows, 256);
  assert.equal(planMemory(demand('q4', 100, 256), [WASM]).maxRows, 256);
});

test('a context that fills no page still has one to seal into', () => {
  assert.deepEqual(planMemory(demand('q4', 1), [WASM]).pageCounts, { sealed: 1, open: 1 });
});

test('what does not fit is refused with what is needed, what there is, and contexts that do fit', () => {
  const ask = demand('f16', 100_000);
  assert.throws(
    () => planMemory(ask, [WASM, MACHINE]),
    (error: Error & { code: string }) => {
      assert.equal(error.code, 'OUT_OF_MEMORY');
      const numbers =
        /^not enough memory: 2\.43 GB are needed \(weights 0\.10 GB, KV cache 2\.30 GB, scratch 0\.03 GB\) /;
      assert.match(error.message, numbers);
      assert.match(
        error.message,
        /for a context of 100,000 tokens in f16, but this machine has 0\.50 GB available; lower ctx to /,
      );
      const [, ctx, smallCtx] = /lower ctx to ([\d,]+), or use kv q4 with ctx ([\d,]+)$/.exec(error.message) ?? [];
      const toNumber = (text: string) => Number(text.replaceAll(',', ''));
      planMemory(demand('f16', toNumber(ctx)), [MACHINE]);
      planMemory(demand('q4', toNumber(smallCtx)), [MACHINE]);
      assert.throws(() => planMemory(demand('f16', toNumber(ctx) + 1), [MACHINE]));
      assert.throws(() => planMemory(demand('q4', toNumber(smallCtx) + 1), [MACHINE]));
      return true;
    },
  );
});

test('the advice is the smaller format alone where that is enough, and fewer sequences where there are many', () => {
  assert.throws(() => planMemory(demand('f16', 20_000), [MACHINE]), /lower ctx to [\d,]+, or use kv q4$/);
  assert.throws(
    () => planMemory(demand('q4', 8192, 16), [MACHINE]),
    /for each of 16 sequences.*, or lower maxSequences$/,
  );
});

test('where the weights alone are too many, a smaller model is the advice', () => {
  const tiny = { bytes: 90e6, name: 'this machine' };
  assert.throws(
    () => planMemory(demand('q4', 8192), [tiny]),
    /0\.09 GB available; use a smaller model, or a file of it with fewer bits/,
  );
});
