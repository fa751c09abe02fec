import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SKIP_WEBGPU } from '../src/kernels/testing/software-gpu.ts';
import { parseKvFormat } from '../src/quant/kv-format.ts';
import { uniformStream } from './random-data.ts';
import { assertSame, runAlone, submit, withEngine, type Setup } from './support/engine-run.ts';
import { randomModel } from './support/random-model.ts';

/** Contract 2 on a GPU. In a file of its own, since files of tests run side by side: its shaders take half a minute to compile where they are computed. */

const MODEL = randomModel({ architecture: 'llama', headDim: 64, numHeads: 4, numKvHeads: 2 });

function randomTokens(count: number, seed: number): number[] {
  const uniform = uniformStream(seed);
  return Array.from({ length: count }, () => Math.floor(uniform() * 63));
}

test(
  'logits (===) beside another format and of a prefix hit are those of the prompt alone',
  { skip: SKIP_WEBGPU },
  async () => {
    const prompt = randomTokens(140, 1);
    const setup: Setup = { backend: 'webgpu-software', kv: 'q4' };
    const alone = await runAlone(MODEL, setup, prompt);
    await withEngine(MODEL, { ...setup, maxSequences: 2 }, async (engine, lastRow) => {
      const format = parseKvFormat('k8v3', 64);
      await engine.betweenSteps((memory) => void memory.addFormat(format, 'ab'.repeat(32)));
      const other = submit(engine, lastRow, {
        promptTokens: randomTokens(75, 2),
        format,
        maxTokens: 40,
        logProbsAt: [],
      });
      assertSame(await submit(engine, lastRow, { promptTokens: prompt }), alone, 'beside another format');
      await other;
      const hit = await submit(engine, lastRow, { promptTokens: prompt, logProbsAt: [139] });
      assert.ok(hit.cachedTokens > 0);
      assertSame(hit, alone, 'prefix hit');
    });
  },
);
