import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { writeGguf } from '../../test/support/gguf-writer.ts';
import { openModelFile } from './model-file.ts';
import { MemorySource } from './testing/memory-source.ts';
import { tinyLlama, tinyModel } from './testing/tiny-llama.ts';
import type { TinyLlamaChanges } from './testing/tiny-llama.ts';

async function open(tensors: TinyLlamaChanges['tensors'] = {}) {
  return openModelFile(new MemorySource(writeGguf(tinyLlama({ tensors }))));
}

async function openQwen(architecture: 'qwen2' | 'qwen3', tensors: TinyLlamaChanges['tensors'] = {}) {
  return openModelFile(new MemorySource(writeGguf(tinyModel(architecture, { tensors }))));
}

describe('planTensors', () => {
  it('plans every tensor once, in order of place in the file', async () => {
    const { tensors, file } = await open();
    assert.deepEqual(
      tensors.map(({ name }) => name),
      [...file.tensors.keys()],
    );
    assert.equal(tensors.length, 3 + 2 * 9);
  });

  it("brings the rotary pairs of queries and keys, biases included, into the kernels' order", async () => {
    const bias = (length: number) => ({ type: 'F32', shape: [length] }) as const;
    const { tensors } = await open({
      'blk.1.attn_q.bias': bias(64),
      'blk.1.attn_k.bias': bias(32),
      'blk.1.attn_v.bias': bias(32),
    });
    const rotated = tensors.filter(({ rowOrder }) => rowOrder.kind !== 'file');
    const names = ['blk.0.attn_q.weight', 'blk.0.attn_k.weight', 'blk.1.attn_q.weight', 'blk.1.attn_k.weight'];
    assert.deepEqual(
      rotated.map(({ name }) => name),
      [...names, 'blk.1.attn_q.bias', 'blk.1.attn_k.bias'],
    );
    for (const { rowOrder } of rotated)
      assert.deepEqual(rowOrder, { kind: 'interleaved-rope', headDim: 16, ropeDim: 16 });
  });

  it('leaves rotary pairs as they are where the file has them as the kernels do', async () => {
    for (const architecture of ['qwen2', 'qwen3'] as const) {
      const { tensors } = await openQwen(architecture);
      assert.ok(tensors.every(({ rowOrder }) => rowOrder.kind === 'file'));
    }
  });

  it('needs the biases of qwen2 and the norms of heads of qwen3, and each only there', async () => {
    await assert.rejects(openQwen('qwen2', { 'blk.1.attn_k.bias': undefined }), {
      code: 'MODEL_INVALID',
      message: /has no tensor "blk.1.attn_k.bias", expected one of \[32\]/,
    });
    await assert.rejects(openQwen('qwen3', { 'blk.0.attn_q_norm.weight': undefined }), {
      code: 'MODEL_INVALID',
      message: /has no tensor "blk.0.attn_q_norm.weight", expected one of \[16\]/,
    });
    await assert.rejects(openQwen('qwen3', { 'blk.0.attn_k_norm.weight': { shape: [32] } }), {
      code: 'MODEL_INVALID',
      message: /"blk.0.attn_k_norm.weight" .* has the shape \[32\], expected \[16\]/,
    });
    const unknown = { code: 'MODEL_INVALID', message: /1 tensors that Kvant does not know in a qwen. model/ };
    await assert.rejects(openQwen('qwen3', { 'blk.0.attn_q.bias': { shape: [64] } }), unknown);
    await assert.rejects(openQwen('qwen2', { 'blk.0.attn_q_norm.weight': { shape: [16] } }), unknown);
  });

  it('does without an output matrix', async () => {
    const { tensors } = await open({ 'output.weight': undefined });
    assert.equal(tensors.length, 2 + 2 * 9);
  });

  it('names a tensor that is missing, with the shape that it should have', async () => {
    await assert.rejects(open({ 'blk.1.ffn_up.weight': undefined }), {
      code: 'MODEL_INVALID',
      message:
        '"test.gguf" has no tensor "blk.1.ffn_up.weight", expected one of [96, 64]: download or convert it again',
    });
  });

  it('names a tensor of another shape, with both shapes', async () => {
    await assert.rejects(open({ 'blk.0.attn_k.weight': { shape: [96, 64] } }), {
      code: 'MODEL_INVALID',
      message:
        'tensor "blk.0.attn_k.weight" of "test.gguf" has the shape [96, 64], expected [96, 32] by the file\'s ' +
        'metadata: download or convert it again',
    });
    await assert.rejects(
      open({ 'output_norm.weight': { shape: [96, 1, 2] } }),
      /has the shape \[96, 1, 2\], expected \[96\]/,
    );
    await assert.rejects(open({ 'blk.0.attn_q.bias': { shape: [32] } }), /has the shape \[32\], expected \[64\]/);
  });

  it('names tensors that it does not know', async () => {
    const more = { 'blk.2.attn_q.weight': { shape: [96, 64] }, 'blk.0.ffn_gate_exps.weight': { shape: [96, 64, 4] } };
    await assert.rejects(open(more), {
      code: 'MODEL_INVALID',
      message:
        '"test.gguf" has 2 tensors that Kvant does not know in a llama model of its size, the first ' +
        '"blk.2.attn_q.weight" of [96, 64]; without them its text would be wrong. Use another file of this model',
    });
  });

  it('refuses a norm that is quantized', async () => {
    await assert.rejects(open({ 'blk.0.ffn_norm.weight': { type: 'Q8_0' } }), {
      code: 'MODEL_UNSUPPORTED',
      message: /tensor "blk.0.ffn_norm.weight" .* has the type Q8_0; Kvant reads vectors in F32, F16, BF16/,
    });
    const half = await open({ 'blk.0.ffn_norm.weight': { type: 'BF16' } });
    assert.equal(half.file.tensors.get('blk.0.ffn_norm.weight')?.type, 'BF16');
  });
});
