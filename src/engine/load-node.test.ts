import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { EngineClient } from './engine-client.ts';
import { embeddedModelPath } from './embedded-model-node.ts';
import { load } from './load-node.ts';
import { startEngineWorker } from './port-node.ts';
import { tinyGguf } from './testing/tiny-engine.ts';
import type { LoadOptions } from './types.ts';
import { wallClockMs } from './wall-clock.ts';

const LOAD_URL = new URL('./load-node.ts', import.meta.url).href;

let folder: string;
let model: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kvant-'));
  model = join(folder, 'tiny.gguf');
  await writeFile(model, tinyGguf());
});

after(() => rm(folder, { recursive: true }));

/** Runs a program that loads the tiny model as `model`; resolves when it has exited by itself. */
async function runProgram(program: string, options: LoadOptions = {}): Promise<{ stdout: string; stderr: string }> {
  const loaded = JSON.stringify({ model, threads: 2, ...options });
  const source = `import { load } from ${JSON.stringify(LOAD_URL)};\nconst model = await load(${loaded});\n${program}`;
  const LIMIT_MS = 30_000;
  return promisify(execFile)(process.execPath, ['--input-type=module', '-e', source], { timeout: LIMIT_MS });
}

for (const backend of ['reference', 'wasm'] as const) {
  test(`${backend}: a model in a worker generates, chats, counts tokens, and closes`, async () => {
    const progress: number[] = [];
    await using loaded = await load({
      model,
      backend,
      threads: 2,
      kv: 'k8v4',
      onProgress: ({ loadedBytes, totalBytes }) => progress.push(loadedBytes / totalBytes),
    });
    const { info } = loaded;
    assert.equal(info.name, 'tiny llama');
    assert.equal(info.path, model);
    assert.equal(info.kvFormat, 'k8v4');
    assert.equal(info.ctx, 2048);
    assert.equal(info.backend.name, backend);
    assert.equal(info.backend.threads, backend === 'wasm' ? 2 : 1);
    assert.ok(info.loadMs > 0 && info.memory.pageBytes > 0);
    assert.equal(progress.at(-1), 1);
    assert.equal(await loaded.detokenize(await loaded.tokenize('hello')), 'hello');
    const generation = loaded.generate({ prompt: 'hello', maxTokens: 10, temperature: 1, seed: 5 });
    let text = '';
    for await (const chunk of generation) text += chunk.text;
    const result = await generation.result;
    assert.equal(result.text, text);
    assert.equal(result.seed, 5);
    assert.equal(result.timings.loadMs, info.loadMs);
    const chat = loaded.chat();
    const first = await chat.send('hi', { maxTokens: 5 }).result;
    const second = await chat.send('more', { maxTokens: 5 }).result;
    assert.ok(second.cachedTokens >= first.promptTokens);
  });
}

test('log-probabilities cross the worker in order of position', async () => {
  await using loaded = await load({ model, backend: 'reference' });
  const seen: [number, number][] = [];
  await loaded.generate({
    tokens: [1, 2, 3],
    maxTokens: 0,
    logProbsAt: [0, 2],
    onLogProbs: (position, logProbs) => seen.push([position, logProbs.length]),
  }).result;
  assert.deepEqual(seen, [
    [0, loaded.info.vocabularySize],
    [2, loaded.info.vocabularySize],
  ]);
});

test('what cannot be loaded is refused with its code', async () => {
  const broken = join(folder, 'broken.gguf');
  const truncated = join(folder, 'truncated.gguf');
  await writeFile(broken, 'this is not a model, though it is long enough to be one');
  await writeFile(truncated, tinyGguf().subarray(0, 20_000));
  const cases: [LoadOptions, string, RegExp][] = [
    [{ model: join(folder, 'missing.gguf') }, 'MODEL_NOT_FOUND', /missing\.gguf/],
    [{ model: broken }, 'MODEL_NOT_GGUF', /broken\.gguf/],
    [{ model: truncated }, 'MODEL_TRUNCATED', /truncated\.gguf/],
    [{ model, ctx: 2049 }, 'INVALID_OPTION', /^option "ctx" must be at most 2,048, the model's context; got 2,049$/],
    [
      { model, kv: 'q7' },
      'INVALID_OPTION',
      /^option "kv" must be f16, q8, q6, q5, q4, q3, q2, q1, or kAvB.*, or auto; got "q7"$/,
    ],
    [
      { model, kv: 'mix3' },
      'INVALID_OPTION',
      /^KV format "mix3" needs a calibration that says which layers get which bits: make one/,
    ],
    [
      { model, calibration: join(folder, 'missing.json') },
      'FILE_ERROR',
      /^cannot read the calibration ".*missing\.json": no such file/,
    ],
    [
      { model, calibration: broken },
      'CALIBRATION_INVALID',
      /broken\.gguf" is no calibration that can be used: it is no JSON/,
    ],
    [
      { model, calibration: '' },
      'INVALID_OPTION',
      /^option "calibration" must be the path of a calibration file, or none; got ""$/,
    ],
    [{ model, memory: '50MB' }, 'OUT_OF_MEMORY', /but the memory budget has 50 MB available; use a smaller model/],
    [{ model, memory: '50' }, 'INVALID_OPTION', /^option "memory" must be bytes, or a size/],
    [{ model, threads: 0 }, 'INVALID_OPTION', /^option "threads" must be/],
    [{ model, thread: 1 } as LoadOptions, 'INVALID_OPTION', /^unknown option "thread"/],
  ];
  for (const [options, code, message] of cases) {
    await assert.rejects(load(options), { name: 'KvantError', code, message });
  }
});

test('errors of a generation come back through the worker', async () => {
  await using loaded = await load({ model, backend: 'reference', ctx: 10 });
  await assert.rejects(loaded.generate({ prompt: 'eleven letters' }).result, { code: 'PROMPT_TOO_LONG' });
  await assert.rejects(loaded.generate({ tokens: [99] }).result, { code: 'INVALID_OPTION', message: /token id 99/ });
});

test('an abort arrives while the engine computes; the model goes on', async () => {
  await using loaded = await load({ model, backend: 'reference' });
  const controller = new AbortController();
  const generation = loaded.generate({ prompt: 'a', temperature: 1, seed: 2, signal: controller.signal });
  for await (const chunk of generation) {
    assert.ok(chunk.tokenIds.length > 0);
    controller.abort();
  }
  const result = await generation.result;
  assert.equal(result.finishReason, 'aborted');
  assert.ok(result.completionTokens >= 1 && result.completionTokens < 1000);
  assert.equal((await loaded.generate({ prompt: 'a', maxTokens: 2 }).result).completionTokens, 2);
});

test('an abort while the model is loaded rejects with the reason of the signal', async () => {
  const reason = new Error('changed my mind');
  await assert.rejects(load({ model, signal: AbortSignal.abort(reason) }), reason);
  const controller = new AbortController();
  const loading = load({ model, signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(loading, reason);
});

test('closing while something runs rejects it with ENGINE_CLOSED', async () => {
  const loaded = await load({ model, threads: 3 });
  const { result } = loaded.generate({ prompt: 'a' });
  const rejected = assert.rejects(result, { code: 'ENGINE_CLOSED' });
  await loaded.close();
  await rejected;
  await assert.rejects(loaded.tokenize('a'), { code: 'ENGINE_CLOSED' });
});

test('a worker that dies rejects what runs with ENGINE_FAILED', async () => {
  const port = startEngineWorker();
  const client = new EngineClient(port);
  const options = { modelPath: model, requestedAtMs: wallClockMs(), kv: 'q4', ctx: undefined, threads: 2 } as const;
  await client.call('load', { ...options, backend: 'wasm', maxSequences: 1 }).result;
  const { result } = client.call('generate', { prompt: 'a', seed: 1 });
  const rejected = assert.rejects(result, {
    code: 'ENGINE_FAILED',
    message: /ended unexpectedly.*load the model again/,
  });
  await port.terminate();
  await rejected;
});

test('the embedded model is where npm put it, or is said to be missing', () => {
  assert.match(embeddedModelPath(), /SmolLM2-135M-Instruct\.Q4_1\.gguf$/);
  const missing = (): never => {
    throw new Error('ERR_MODULE_NOT_FOUND');
  };
  assert.throws(() => embeddedModelPath(missing), {
    code: 'MODEL_NOT_FOUND',
    message: /install the package @kvant\/smollm2-135m-instruct, or give the path of a GGUF file/,
  });
});

test('a program ends by itself once its model is closed, and also if it forgets to close it', async () => {
  const generate = 'console.log((await model.generate({ prompt: "a", maxTokens: 3 }).result).completionTokens);';
  assert.equal((await runProgram(`${generate} await model.close();`)).stdout, '3\n');
  assert.equal((await runProgram(generate)).stdout, '3\n');
});

test('who only iterates, only awaits, or does neither causes no unhandled rejection', async () => {
  const { stdout } = await runProgram(`
    process.on('unhandledRejection', () => console.log('unhandled'));
    const tooLong = { prompt: 'a'.repeat(3000) };
    try { for await (const _ of model.generate(tooLong)); } catch (error) { console.log(error.code); }
    try { await model.generate(tooLong).result; } catch (error) { console.log(error.code); }
    model.generate(tooLong);
    model.chat().send(tooLong.prompt);
    for await (const _ of model.generate({ prompt: 'a' })) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
    const ignored = model.generate({ prompt: 'a' });
    await model.close();
    await new Promise((resolve) => setTimeout(resolve, 50));
  `);
  assert.equal(stdout, 'PROMPT_TOO_LONG\nPROMPT_TOO_LONG\n');
});

test('an open model with nothing to do uses less than a tenth of a core', async () => {
  const { stdout } = await runProgram(
    `await model.generate({ prompt: 'a', maxTokens: 5 }).result;
    const before = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, 500));
    const { user, system } = process.cpuUsage(before);
    console.log((user + system) / 500_000);`,
    { threads: 3 },
  );
  assert.ok(Number(stdout) < 0.1, `${stdout} cores`);
});
