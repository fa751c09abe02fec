import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { compareFormats, type FormatFidelity } from '../src/eval/compare-formats.ts';
import { evalSetup } from '../src/eval/setup-node.ts';
import { referenceFolder, tinyModel } from './support/reference.ts';

const CTX = 1024;

/** A little above what is measured at positions 512 to 1,022, so that another order of roundings passes. */
const CASES = [
  { file: 'llama-d64.Q8_0', plain: 0.00125, learnt: 0.0008, top1: 0.96 },
  { file: 'llama-d96.Q4_0', plain: 0.00135, learnt: 0.0007, top1: 0.975 },
  { file: 'llama-d256.Q4_K_M', plain: 0.0008, learnt: undefined, top1: 0.97 },
  { file: 'qwen2-d128-keybias.Q6_K', plain: 0.002, learnt: 0.0008, top1: 0.975 },
  { file: 'qwen3-d128-outliers.Q5_K_M', plain: 0.0016, learnt: 0.0005, top1: 0.975 },
] as const;

async function measure(file: string, calibration: string): Promise<FormatFidelity> {
  const bytes = await readFile(`${referenceFolder(`tiny/${file.split('.')[0]}`)}/tokens.u16`);
  const tokens = Array.from({ length: CTX }, (_, i) => bytes.readUInt16LE(2 * i));
  const model = tinyModel(`${file}.gguf`);
  const setup = await evalSetup({ model, calibration, ctx: CTX, threads: 2 }, 'f32', new AbortController().signal);
  const results: FormatFidelity[] = [];
  await compareFormats(['q4'], [tokens], setup, {
    onProgress: () => undefined,
    onLoaded: async () => undefined,
    onResult: async (result) => void results.push(result),
  });
  return results[0];
}

for (const { file, plain, learnt, top1 } of CASES) {
  describe(`${file}: q4 against f16, 1,024 tokens, float32 activations`, () => {
    test(`mean KLD below ${plain} without a calibration`, async () => {
      const { kld } = await measure(file, 'none');
      assert.ok(kld.mean < plain, `${kld.mean}`);
    });

    if (learnt === undefined) return;
    test(`mean KLD below ${learnt} with one, the same likeliest token at ${100 * top1}% of positions or more`, async () => {
      const { kld, top1Agreement } = await measure(file, tinyModel(`calibrations/${file}.kvant.json`));
      assert.ok(kld.mean < learnt, `${kld.mean}`);
      assert.ok(top1Agreement >= top1, `${top1Agreement}`);
    });
  });
}
