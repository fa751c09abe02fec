import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { SKIP_WEBGPU } from '../src/kernels/testing/software-gpu.ts';
import { calibratedFormat } from '../src/kernels/testing/calibrated-format.ts';
import { uniformStream } from './random-data.ts';
import { runAlone, type Outcome, type Setup } from './support/engine-run.ts';
import { randomModel } from './support/random-model.ts';
import { tinyModel, referenceFolder } from './support/reference.ts';

/** Whole models on the webgpu backend. Where there is no GPU, on one that is computed. */

const WEBGPU = { backend: 'webgpu-software', ctx: 400 } as const;
const MODEL = randomModel({ architecture: 'llama', headDim: 64, numHeads: 4, numKvHeads: 2 });

function randomTokens(count: number, seed: number): number[] {
  const uniform = uniformStream(seed);
  return Array.from({ length: count }, () => Math.floor(uniform() * 63));
}

/** Mean over positions of KL(expected, found), in nats. */
function meanKld(expected: Outcome, found: Outcome): number {
  const klds = [...expected.logits].map(([position, bytes]) => {
    const [p, q] = [bytes, found.logits.get(position)!].map((row) => logSoftmax(new Float32Array(row.buffer)));
    return p.reduce((sum, logP, i) => sum + Math.exp(logP) * (logP - q[i]), 0);
  });
  return klds.reduce((sum, kld) => sum + kld, 0) / klds.length;
}

function logSoftmax(logits: Float32Array): Float64Array {
  const most = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const logSum = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - most), 0)) + most;
  return Float64Array.from(logits, (logit) => logit - logSum);
}

for (const [file, kv, most] of [
  ['llama-d64.Q8_0', 'q8', 1e-5],
  ['qwen3-d128-outliers.Q5_K_M', 'f16', 1e-5],
] as const) {
  const title = `${file}, ${kv}, float32 activations: mean KLD to the reference below ${most}`;
  test(title, { skip: SKIP_WEBGPU }, async () => {
    const model = await readFile(tinyModel(`${file}.gguf`));
    const bytes = await readFile(`${referenceFolder(`tiny/${file.split('.')[0]}`)}/tokens.u16`);
    const prompt = Array.from({ length: 80 }, (_, i) => bytes.readUInt16LE(2 * i));
    const setup: Setup = { ...WEBGPU, kv, activations: 'f32' };
    const expected = await runAlone(model, { ...setup, backend: 'reference' }, prompt);
    const kld = meanKld(expected, await runAlone(model, setup, prompt));
    assert.ok(kld < most, `${kld}`);
  });
}

test(
  'a calibrated format, with matrices, errors fed to other channels and bits by layer, gives what the reference gives',
  { skip: SKIP_WEBGPU },
  async () => {
    const prompt = randomTokens(150, 5);
    const setup: Setup = { ...WEBGPU, kv: 'q8', activations: 'f32', adapt: calibratedFormat };
    const expected = await runAlone(MODEL, { ...setup, backend: 'reference' }, prompt);
    const kld = meanKld(expected, await runAlone(MODEL, setup, prompt));
    assert.ok(kld < 1e-3, `${kld}`);
  },
);
