import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { openModel } from '../src/model/open-model-node.ts';

const run = promisify(execFile);
const SCRIPT = fileURLToPath(new URL('../scripts/random-gguf.ts', import.meta.url));

describe('random-gguf', () => {
  it('writes a model that Kvant reads, of the shape and type asked for', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'kvant-random-'));
    t.after(() => rm(folder, { recursive: true }));
    const path = join(folder, 'model.gguf');
    await run(process.execPath, [SCRIPT, path, 'smol135', 'q8_0']);
    const { name, hyperparameters, numParameters, file } = await openModel(path);
    try {
      assert.equal(name, 'random smol135 q8_0');
      const { numLayers, numHeads, numKvHeads, headDim, embeddingLength, vocabularySize, ropeBase } = hyperparameters;
      assert.deepEqual([numLayers, numHeads, numKvHeads, headDim], [30, 9, 3, 64]);
      assert.deepEqual([embeddingLength, vocabularySize, ropeBase], [576, 49152, 100_000]);
      assert.equal(Math.round(numParameters / 1e6), 135);
      assert.equal(file.tensors.get('blk.29.ffn_down.weight')?.type, 'Q8_0');
      const [blockBytes, numBlocks] = [34, (1536 / 32) * 576];
      const bytes = new Uint8Array(blockBytes);
      await file.tensorSource('blk.29.ffn_down.weight').read(bytes, (numBlocks - 1) * blockBytes);
      assert.ok(new Set(bytes).size > 20, 'codes that do not vary');
    } finally {
      await file.close();
    }
  });

  it('writes the architectures of other shapes', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'kvant-random-'));
    t.after(() => rm(folder, { recursive: true }));
    const path = join(folder, 'model.gguf');
    await run(process.execPath, [SCRIPT, path, 'qwen25-05']);
    const { hyperparameters, tensors, file } = await openModel(path);
    await file.close();
    const { architecture, numLayers, numHeads, numKvHeads, headDim } = hyperparameters;
    assert.deepEqual([architecture, numLayers, numHeads, numKvHeads, headDim], ['qwen2', 24, 14, 2, 64]);
    assert.equal(tensors.filter(({ name }) => name.endsWith('.bias')).length, 3 * 24);
  });

  it('tells how it is used', async () => {
    await assert.rejects(run(process.execPath, [SCRIPT, 'x.gguf', 'gpt5']), {
      code: 2,
      stderr: 'usage: random-gguf.ts OUT.gguf smol135|qwen06|qwen3-06|qwen25-05|llama1b|llama8b [q4_0|q8_0]\n',
    });
  });
});
