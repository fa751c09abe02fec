import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rootKey } from '../cache/prefix-key.ts';
import { Transformer } from '../model/transformer.ts';
import { loadWeights } from '../model/weights.ts';
import { AttentionLoss } from './attention-loss.ts';
import { KvMemory } from './kv-memory.ts';
import { observeCache } from './observe-cache.ts';
import type { ObservedCache } from './observed-cache.ts';
import { planLoad } from './plan-load.ts';
import { nodePlatform } from './platform-node.ts';
import { letters, openTinyModel } from './testing/tiny-engine.ts';

/** Two full pages after the sink tokens, and 33 of a third. */
const NUM_TOKENS = 4 + 2 * 64 + 33;

async function observe(kv: string, backend: 'wasm' | 'reference'): Promise<ObservedCache> {
  const model = await openTinyModel();
  const { hyperparameters, ropeFrequencies } = model;
  const { demand, memory } = planLoad(model, { kv, ctx: 256, threads: 2, backend, maxSequences: 1 }, nodePlatform);
  const kernels = await nodePlatform.createKernels(backend, {
    ...{ shape: hyperparameters, numHeads: hyperparameters.numHeads, ropeFrequencies, format: demand.format },
    ...{ maxRows: memory.maxRows, maxContext: 256, numThreads: 2 },
  });
  try {
    const transformer = new Transformer(kernels, await loadWeights(kernels, model), hyperparameters);
    const kvMemory = new KvMemory(kernels, { numBytes: memory.arenaBytes, root: rootKey({}) });
    const observed = await observeCache({ kernels, transformer, memory: kvMemory }, letters(NUM_TOKENS));
    kvMemory.check([]);
    return observed;
  } finally {
    await kernels.close();
  }
}

for (const backend of ['reference', 'wasm'] as const) {
  test(`${backend}: full pages are seen before and after they were sealed, and queries of the open page`, async () => {
    const [wide, narrow] = await Promise.all([observe('q8', backend), observe('q1', backend)]);
    for (const observed of [wide, narrow]) {
      assert.equal(observed.numSealedPages, 2);
      assert.deepEqual(
        observed.queries.map(({ position }) => position),
        [132, 140, 148, 156, 164],
      );
      assert.deepEqual(
        observed.queries.map(({ layers }) => layers.length),
        [2, 2, 2, 2, 2],
      );
    }
    // What the first layer computes does not depend on the cache: before sealing, to the bit, it is the same.
    for (const kind of ['k', 'v'] as const) {
      assert.deepEqual(narrow.exact(0, 1, kind), wide.exact(0, 1, kind));
      // What was sealed by the engine is what the oracle seals.
      assert.deepEqual(wide.cached(0, 1, kind, 1), narrow.cached(0, 1, kind));
      assert.notDeepEqual(narrow.cached(0, 1, kind), narrow.exact(0, 1, kind));
    }
    assert.deepEqual(narrow.queries[0].layers[0], wide.queries[0].layers[0]);
  });
}

test('8 bits lose less than a hundredth of what 1 bit does', async () => {
  const [wide, narrow] = await Promise.all(['q8', 'q1'].map(async (kv) => lossOf(await observe(kv, 'reference'))));
  assert.ok(wide.attentionKld < narrow.attentionKld / 100, `${wide.attentionKld}, ${narrow.attentionKld}`);
  assert.ok(wide.valueError < narrow.valueError / 20, `${wide.valueError}, ${narrow.valueError}`);
});

function lossOf(observed: ObservedCache): AttentionLoss {
  const loss = new AttentionLoss();
  const exact = { keys: observed.exact(1, 0, 'k'), values: observed.exact(1, 0, 'v') };
  const cached = { keys: observed.cached(1, 0, 'k'), values: observed.cached(1, 0, 'v') };
  for (const query of observed.queries) loss.add(observed.query(query, 1, 0), query.position + 1, exact, cached);
  return loss;
}
