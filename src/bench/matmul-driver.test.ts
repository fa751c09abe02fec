import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tinyModel } from '../../test/support/reference.ts';
import { ReferenceKernels } from '../kernels/reference/reference-kernels.ts';
import { openModel } from '../model/open-model-node.ts';
import { parseKvFormat } from '../quant/kv-format.ts';
import { MatmulDriver } from './matmul-driver.ts';

test('the groups hold every matrix of the model once, and a step of each runs', async () => {
  const model = await openModel(tinyModel('llama-d64.Q8_0.gguf'));
  const { hyperparameters, ropeFrequencies, tensors, file } = model;
  try {
    const kernels = new ReferenceKernels({
      shape: hyperparameters,
      numHeads: hyperparameters.numHeads,
      format: parseKvFormat('q4', hyperparameters.headDim),
      ropeFrequencies,
      maxRows: 68,
      maxContext: 68,
      numThreads: 1,
    });
    const driver = await MatmulDriver.load(kernels, model, new AbortController().signal);
    assert.deepEqual(
      driver.groups.map(({ name }) => name),
      ['attn_q+k+v', 'attn_output', 'ffn_gate+up', 'ffn_down', 'output'],
    );
    const matrices = tensors.filter(({ kind }) => kind === 'matrix').map(({ name }) => name);
    const isUsed = (name: string): boolean => name !== 'token_embd.weight' || !matrices.includes('output.weight');
    const used = matrices.filter(isUsed).map((name) => file.tensorSource(name));
    const macsPerRow = used.reduce((sum, { numRows, numCols }) => sum + numRows * numCols, 0);
    const work = driver.groups.map((group) => driver.work(group, 3));
    assert.equal(
      work.reduce((sum, { macs }) => sum + macs, 0),
      3 * macsPerRow,
    );
    for (const group of driver.groups) {
      await driver.run(group, 3, 2);
      const { out } = group.calls[0][0];
      assert.ok(
        kernels.readRow(out, 2).some((value) => value !== 0),
        group.name,
      );
    }
  } finally {
    await file.close();
  }
});
