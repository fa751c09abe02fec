import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createWasmKernels } from '../kernels/wasm/create-wasm-kernels-node.ts';
import type { WantedIsa } from '../kernels/wasm/wasm-module.ts';
import { openModelFile } from '../model/model-file.ts';
import { MemorySource } from '../model/testing/memory-source.ts';
import { randomModel } from '../../test/support/random-model.ts';
import { uniformStream } from '../../test/random-data.ts';
import { loadEngine } from './load-engine.ts';
import { nodePlatform } from './platform-node.ts';
import { NO_EVENTS, request } from './testing/tiny-engine.ts';
import { wallClockMs } from './wall-clock.ts';

const uniform = uniformStream(3);
const TOKENS = Array.from({ length: 700 }, () => Math.floor(uniform() * 63));
const MODELS = [
  { headDim: 64, numHeads: 4, numKvHeads: 2 },
  { headDim: 96, numHeads: 3, numKvHeads: 1 },
].map((shape) => randomModel({ architecture: 'llama', ...shape }));

/** The root of an engine's keys, and the bits of the last logits. */
async function run(bytes: Uint8Array, kv: string, isa: WantedIsa): Promise<{ root: string; logProbs: Uint32Array }> {
  const options = {
    kv,
    ctx: 1024,
    threads: 2,
    backend: 'wasm',
    maxSequences: 1,
    requestedAtMs: wallClockMs(),
  } as const;
  const loaded = await loadEngine(await openModelFile(new MemorySource(bytes)), options, {
    ...nodePlatform,
    createKernels: (_, config) => createWasmKernels(config, isa),
  });
  let logProbs = new Float32Array();
  const onLogProbs = (_: number, row: Float32Array): void => void (logProbs = Float32Array.from(row));
  const changes = { promptTokens: TOKENS, maxTokens: 0, logProbsAt: [TOKENS.length - 1] };
  await loaded.engine.submit(request(changes), { ...NO_EVENTS, onLogProbs }).result;
  await loaded.kernels.close();
  return { root: loaded.memory.defaultCache.root, logProbs: new Uint32Array(logProbs.buffer) };
}

for (const kv of ['f16', 'q8', 'q4', 'k3v2']) {
  test(`builds of the kernels that share files compute the same bits, ${kv}`, async () => {
    for (const model of MODELS) {
      const expected = await run(model, kv, 'relaxed SIMD');
      for (const isa of [
        'relaxed SIMD, 256 bits',
        'relaxed SIMD in pairs',
        'relaxed SIMD in pairs, 256 bits',
      ] as const) {
        const { root, logProbs } = await run(model, kv, isa);
        assert.deepEqual(logProbs, expected.logProbs, isa);
        assert.equal(root, expected.root, isa);
      }
      assert.notEqual((await run(model, kv, 'SIMD')).root, expected.root, 'it rounds otherwise');
    }
  });
}
