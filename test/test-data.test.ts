import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openReferenceFolder } from '../src/eval/reference-folder-node.ts';
import { readPrompts, readTokenizerCases, referenceFolder } from './support/reference.ts';

/** The models and reference outputs in this repository are whole, and hold what their README files say. */

const EMBEDDED_MODEL = fileURLToPath(new URL('../models/smollm2-135m-instruct', import.meta.url));
const TINY_MODELS = fileURLToPath(new URL('./models/tiny', import.meta.url));
const TINY_NAMES = ['llama-d64', 'llama-d96', 'llama-d256', 'qwen2-d128-keybias', 'qwen3-d128-outliers'];

/** The rows of smollm2 were rounded to float16, then to codes of 16 bits over a range of 20. */
const HALF_F16_STEP = 2 ** -11;
const HALF_CODE_STEP = 1.001 * (20 / 65_535 / 2);

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(chunk as Uint8Array);
  return hash.digest('hex');
}

/** Holds every model and calibration of a folder to the folder's SHA256SUMS. */
async function checkSums(folder: string): Promise<void> {
  const lines = (await readFile(join(folder, 'SHA256SUMS'), 'utf8')).trim().split('\n');
  const sums = new Map(lines.map((line) => line.split('  ').reverse() as [string, string]));
  const models = (await readdir(folder)).filter((name) => /\.(gguf|kvant\.json)$/.test(name));
  assert.deepEqual([...sums.keys()].sort(), models.sort());
  for (const [name, sum] of sums) assert.equal(await sha256(join(folder, name)), sum, `${name} is damaged`);
}

interface NextToken {
  /** Log p of the text's next token in a whole row. */
  readonly inRow: number;
  /** The same from `next_logprob.f32`, which the same program wrote apart. */
  readonly alone: number;
}

async function nextTokens(folder: string): Promise<NextToken[]> {
  const { tokens, positions, logProbs } = await openReferenceFolder(folder);
  const next = new Float32Array(new Uint8Array(await readFile(join(folder, 'next_logprob.f32'))).buffer);
  const withNext = positions.filter((position) => position + 1 < tokens.length);
  assert.ok(withNext.length >= 16 && next.length >= tokens.length - 1);
  return withNext.map((position) => ({ inRow: logProbs(position)[tokens[position + 1]], alone: next[position] }));
}

async function worstTotal(folder: string): Promise<number> {
  const { positions, logProbs } = await openReferenceFolder(folder);
  const totals = positions.map((position) => logProbs(position).reduce((sum, logProb) => sum + Math.exp(logProb), 0));
  return Math.max(...totals.map((total) => Math.abs(total - 1)));
}

describe('the models', () => {
  it('the embedded one has the size and checksum that its README and SHA256SUMS state', async () => {
    const readme = await readFile(join(EMBEDDED_MODEL, 'README.md'), 'utf8');
    const { size } = await stat(join(EMBEDDED_MODEL, 'SmolLM2-135M-Instruct.Q4_1.gguf'));
    assert.ok(readme.includes(`${size.toLocaleString('en-US')} bytes`), `${size} bytes`);
    await checkSums(EMBEDDED_MODEL);
    const sums = await readFile(join(EMBEDDED_MODEL, 'SHA256SUMS'), 'utf8');
    assert.ok(readme.includes(sums.slice(0, 64)));
  });

  it('the tiny ones have the checksums that SHA256SUMS states', async () => {
    await checkSums(TINY_MODELS);
  });
});

describe('the reference outputs', () => {
  for (const name of TINY_NAMES) {
    it(`${name}: whole rows sum to 1 and agree with the next token's log p (error < 1e-6)`, async () => {
      const folder = referenceFolder(`tiny/${name}`);
      for (const { inRow, alone } of await nextTokens(folder)) assert.ok(Math.abs(inRow - alone) < 1e-6);
      assert.ok((await worstTotal(folder)) < 1e-6);
    });
  }

  it("smollm2: rows sum to 1 (error < 3e-4) and agree with the next token's log p (half a step of float16 and of the code)", async () => {
    const folder = referenceFolder('smollm2');
    const { positions, vocabularySize } = await openReferenceFolder(folder);
    assert.deepEqual(
      positions,
      Array.from({ length: 16 }, (_, i) => 1024 + 64 * i),
    );
    assert.equal(vocabularySize, 49_152);
    for (const { inRow, alone } of await nextTokens(folder)) {
      assert.ok(Math.abs(inRow - alone) < Math.abs(alone) * HALF_F16_STEP + HALF_CODE_STEP);
    }
    assert.ok((await worstTotal(folder)) < 3e-4);
  });

  it('smollm2: 12 prompts with a margin for each token of the answer, and 64 texts for the tokenizer', async () => {
    const prompts = await readPrompts(referenceFolder('smollm2'));
    assert.equal(prompts.length, 12);
    for (const { ids, greedy } of prompts) {
      assert.ok(ids.length > 0 && greedy.ids.length > 0);
      assert.equal(greedy.margins.length, greedy.ids.length);
    }
    assert.equal((await readTokenizerCases(referenceFolder('smollm2'))).length, 64);
  });
});
