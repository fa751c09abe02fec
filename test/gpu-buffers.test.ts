import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sealedPageLayout } from '../src/cache/page-layout.ts';
import { nodePlatform } from '../src/engine/platform-node.ts';
import { letters, loadTinyEngine, NO_EVENTS, request } from '../src/engine/testing/tiny-engine.ts';
import { SKIP_WEBGPU } from '../src/kernels/testing/software-gpu.ts';
import { openGpu } from '../src/kernels/webgpu/create-webgpu-kernels-node.ts';
import type { LesserGpu } from '../src/kernels/webgpu/gpu-device.ts';
import { readShaders } from '../src/kernels/webgpu/read-shaders-node.ts';
import { WebgpuKernels } from '../src/kernels/webgpu/webgpu-kernels.ts';

/** A KV cache that is larger than what the GPU binds in one piece, and GPUs that have no more than all have. */

const KV_MEMORY = 4_000_000;
/** Seals a page, and reads it. */
const PROMPT = letters(72);
const SEEN = [70, 71];

async function loadOnGpu(lesser?: LesserGpu) {
  const gpu = await openGpu('any', lesser);
  return loadTinyEngine(
    { backend: 'webgpu-software', kv: 'q4', ctx: 400, kvMemory: KV_MEMORY, maxSequences: 2 },
    { ...nodePlatform, createKernels: async (_, config) => new WebgpuKernels(config, gpu, await readShaders()) },
  );
}

async function answer(lesser?: LesserGpu): Promise<{ logProbs: Float32Array[]; tokenIds: readonly number[] }> {
  const { engine, kernels } = await loadOnGpu(lesser);
  const logProbs: Float32Array[] = [];
  const asked = request({ promptTokens: PROMPT, maxTokens: 3, ignoreEnd: true, speculate: 'off', logProbsAt: SEEN });
  const events = { ...NO_EVENTS, onLogProbs: (_: number, row: Float32Array) => void logProbs.push(row) };
  const { tokenIds } = await engine.submit(asked, events).result;
  engine.checkPages();
  await engine.close();
  await kernels.close();
  return { logProbs, tokenIds };
}

let usual: ReturnType<typeof answer> | undefined;

/** That of a GPU with all that it has. */
function usualAnswer(): ReturnType<typeof answer> {
  return (usual ??= answer());
}

test(
  'logits (===) of a cache that lies in two buffers, a layer in each, are those of one in a single buffer',
  { skip: SKIP_WEBGPU },
  async () => {
    const expected = await usualAnswer();
    assert.equal(expected.logProbs.length, SEEN.length);
    assert.deepEqual(await answer({ mostBytes: 0.6 * KV_MEMORY }), expected);
  },
);

test('a GPU that has no more than WebGPU promises gives the same answer', { skip: SKIP_WEBGPU }, async () => {
  const expected = await usualAnswer();
  const { logProbs, tokenIds } = await answer({ withLeastLimits: true });
  assert.deepEqual(tokenIds, expected.tokenIds);
  logProbs.forEach((row, at) =>
    row.forEach((value, token) => {
      assert.ok(Math.abs(value - expected.logProbs[at][token]) < 1e-4, `token ${token}: ${value}`);
    }),
  );
});

test('pages in several buffers are written, moved and read as they were', { skip: SKIP_WEBGPU }, async () => {
  const { kernels, engine } = await loadOnGpu({ mostBytes: 0.6 * KV_MEMORY });
  const layout = sealedPageLayout(kernels.config.format, kernels.config.shape);
  const numUnits = layout.pageBytes / 64;
  const arena = kernels.createPageArena(64 * Math.floor((0.9 * KV_MEMORY) / 64));
  const pages = kernels.arenaPages(arena, layout);
  const bytes = [1, 2].map((seed) => new Uint8Array(layout.pageBytes).map((_, i) => (i * 7 + seed * 31) % 251));
  kernels.writePage(pages, 3, bytes[0]);
  kernels.writePage(pages, 3 + numUnits, bytes[1]);
  assert.deepEqual(await kernels.readPage(pages, 3), bytes[0]);
  kernels.copyUnits(arena, 3, pages.numPages - 1, numUnits);
  kernels.copyUnits(arena, 3 + numUnits, 1, numUnits);
  assert.deepEqual(await kernels.readPage(pages, pages.numPages - 1), bytes[0]);
  assert.deepEqual(await kernels.readPage(pages, 1), bytes[1]);
  await engine.close();
  await kernels.close();
});

test('a cache of which the GPU does not bind even a layer is refused by name', { skip: SKIP_WEBGPU }, async () => {
  await assert.rejects(loadOnGpu({ mostBytes: 0.4 * KV_MEMORY }), {
    code: 'OUT_OF_MEMORY',
    message: /^no GPU memory for the pages of the KV cache: 2000000 bytes, and the GPU takes at most 1600000 bytes/,
  });
});
