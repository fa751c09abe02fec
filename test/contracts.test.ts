import assert from 'node:assert/strict';
import { test } from 'node:test';
import { calibratedFormat } from '../src/kernels/testing/calibrated-format.ts';
import { uniformStream } from './random-data.ts';
import {
  assertSame,
  NUM_GENERATED,
  runAlone,
  runBeside,
  submit,
  withEngine,
  type Outcome,
  type Setup,
} from './support/engine-run.ts';
import { randomModel } from './support/random-model.ts';

/**
 * Contracts 1 and 2 of the design: the logits at a position depend on the tokens before it, the model and the format
 * alone. Every comparison here is of raw bits.
 */

/** Heads of 64 are rotated, heads of 96 are not, and 3 query heads share a KV head there. */
const MODELS = [
  { headDim: 64, numHeads: 4, numKvHeads: 2 },
  { headDim: 96, numHeads: 3, numKvHeads: 1 },
].map((shape) => ({ name: `head size ${shape.headDim}`, bytes: randomModel({ architecture: 'llama', ...shape }) }));

/** In a format each: they differ from llama before keys and values are stored. */
const OTHER_ARCHITECTURES = (['qwen2', 'qwen3'] as const).map((architecture) => ({
  name: architecture,
  bytes: randomModel({ architecture, headDim: 128, numHeads: 2, numKvHeads: 1 }),
}));

const FORMATS = ['f16', 'q8', 'q4', 'k8v4'];
/** Wasm attends to 512 sealed tokens at a time: its prompt has two such parts and a rest. The oracle is slow. */
const BACKENDS = [
  { backend: 'reference', prompt: randomTokens(150, 1) },
  { backend: 'wasm', prompt: randomTokens(1100, 1) },
] as const;

function randomTokens(count: number, seed: number): number[] {
  const uniform = uniformStream(seed);
  return Array.from({ length: count }, () => Math.floor(uniform() * 63));
}

function contractsOf(setup: Setup, model: Uint8Array, prompt: number[], title: string): void {
  let baseline: Promise<Outcome> | undefined;
  const atOnce = (): Promise<Outcome> => (baseline ??= runAlone(model, setup, prompt));

  test(`${title}: same logits (===) for prefill in chunks of 1, 7, 64, 500 and all at once`, async () => {
    const expected = await atOnce();
    assert.equal(expected.logits.size, prompt.length);
    for (const prefillChunk of [1, 7, 64, 500]) {
      assertSame(await runAlone(model, { ...setup, prefillChunk }, prompt), expected, `chunks of ${prefillChunk}`);
    }
  });

  test(`${title}: same logits (===) when what was generated is part of the prompt`, async () => {
    const { logits, tokenIds } = await atOnce();
    const half = tokenIds.slice(0, NUM_GENERATED / 2);
    const outcome = await runAlone(model, setup, [...prompt, ...half]);
    for (const [position, row] of logits) {
      assert.ok(Buffer.from(row).equals(outcome.logits.get(position)!), `position ${position}`);
    }
    assert.deepEqual(outcome.tokenIds.slice(0, half.length), tokenIds.slice(half.length));
  });

  test(`${title}: same logits (===) alone and beside three others`, async () => {
    const expected = await atOnce();
    const others = [randomTokens(1, 2), randomTokens(90, 3), randomTokens(400, 4)];
    for (const prefillChunk of [17, 500]) {
      const found = await runBeside(model, { ...setup, prefillChunk }, prompt, others, 80);
      assertSame(found, expected, `chunks of ${prefillChunk}`);
    }
  });

  test(`${title}: same logits (===) for a conversation continued, cut back, and begun anew`, async () => {
    const expected = await atOnce();
    const [numFirst, numSecond] = [Math.floor(prompt.length * 0.3), Math.floor(prompt.length * 0.9)];
    await withEngine(model, setup, async (engine, lastRow) => {
      // Turns that share more and more with the prompt, so that pages are kept, cut back and written again.
      const turns = [
        [...prompt.slice(0, numFirst), ...randomTokens(100, 5)],
        [...prompt.slice(0, numSecond), ...randomTokens(3, 6)],
      ];
      for (const promptTokens of turns) await submit(engine, lastRow, { promptTokens, conversation: 1 });
      // What is asked for is computed, cached or not: here only what the turns before have not.
      const logProbsAt = prompt.map((_, position) => position).slice(numSecond);
      const outcome = await submit(engine, lastRow, { promptTokens: prompt, conversation: 1, logProbsAt });
      assertSame(outcome, expected, 'the last turn');
      assert.ok(outcome.cachedTokens > numFirst && outcome.cachedTokens <= numSecond, `${outcome.cachedTokens} cached`);
      assert.equal(outcome.logits.size, prompt.length - numSecond);
    });
  });
}

for (const { backend, prompt } of BACKENDS) {
  for (const kv of backend === 'wasm' ? FORMATS : ['f16', 'q4']) {
    for (const { name, bytes } of MODELS) contractsOf({ backend, kv }, bytes, prompt, `${backend}, ${kv}, ${name}`);
  }
}

for (const { backend, prompt } of BACKENDS) {
  for (const { name, bytes } of OTHER_ARCHITECTURES) {
    contractsOf({ backend, kv: 'q4' }, bytes, prompt, `${backend}, q4, ${name}`);
  }
}

/** Layers of other bits, a matrix for each head, and errors that channels of K take. */
const CALIBRATED = { kv: 'q4', adapt: calibratedFormat } as const;

for (const { backend, prompt } of BACKENDS) {
  for (const { name, bytes } of backend === 'wasm' ? MODELS : MODELS.slice(1)) {
    contractsOf({ backend, ...CALIBRATED }, bytes, prompt, `${backend}, bits by layer and matrices, ${name}`);
  }
}

const WASM_PROMPT = BACKENDS[1].prompt;

function threadsTest(
  format: Omit<Setup, 'backend'>,
  { name, bytes }: (typeof MODELS)[number],
  formatName: string = format.kv,
): void {
  test(`wasm, ${formatName}, ${name}: same logits (===) for 1, 2 and 3 threads`, async () => {
    const setup = { backend: 'wasm', ...format } as const;
    const expected = await runAlone(bytes, setup, WASM_PROMPT);
    for (const threads of [2, 3]) {
      for (const prefillChunk of [1, 500]) {
        const found = await runAlone(bytes, { ...setup, threads, prefillChunk }, WASM_PROMPT);
        assertSame(found, expected, `${threads} threads, chunks of ${prefillChunk}`);
      }
    }
  });
}

for (const kv of FORMATS) {
  for (const model of MODELS) threadsTest({ kv }, model);
}
for (const model of OTHER_ARCHITECTURES) threadsTest({ kv: 'q4' }, model);
for (const model of MODELS) threadsTest(CALIBRATED, model, 'bits by layer and matrices');

test('wasm, q4, head size 64: same logits (===) alone and beside 39 others that are decoding', async () => {
  const setup = { backend: 'wasm', kv: 'q4', threads: 2 } as const;
  const prompt = WASM_PROMPT.slice(0, 700);
  const others = Array.from({ length: 39 }, (_, i) => randomTokens(2 + i, 100 + i));
  const expected = await runAlone(MODELS[0].bytes, setup, prompt);
  const found = await runBeside(MODELS[0].bytes, { ...setup, prefillChunk: 1 }, prompt, others, prompt.length);
  assertSame(found, expected, 'one of 40');
});

test('the formats differ in their logits, or the comparisons above would show nothing', async () => {
  const setups = [...FORMATS.map((kv) => ({ kv })), CALIBRATED];
  const last = await Promise.all(
    setups.map(async (setup) => {
      const prompt = WASM_PROMPT.slice(0, 100);
      const { logits } = await runAlone(MODELS[0].bytes, { backend: 'wasm', ...setup }, prompt);
      return Buffer.from(logits.get(99)!).toString('hex');
    }),
  );
  assert.equal(new Set(last).size, setups.length);
});
