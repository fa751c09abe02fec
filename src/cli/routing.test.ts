import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { KvantError } from '../errors.ts';
import type { JsonReport } from './json-report.ts';
import { runProgram } from './program.ts';
import { DEFAULT_PROMPT } from './prompt-input.ts';
import { FakeContext, type FakeContextOptions } from './testing/fake-context.ts';
import { fakeModel, type FakeModelLog, type FakeModelOptions } from './testing/fake-model.ts';

/** What commands make of arguments, with a model that computes nothing. */

interface Run {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly log: FakeModelLog;
}

async function run(
  args: readonly string[],
  world: FakeContextOptions = {},
  model: FakeModelOptions = {},
): Promise<Run> {
  const { load, log } = fakeModel(model);
  const context = new FakeContext({ load, stdin: '', ...world });
  const exitCode = await runProgram(args, context);
  return { exitCode, ...context.texts, log };
}

describe('which command runs', () => {
  test('without a terminal and without a prompt, the built-in prompt is answered once', async () => {
    const { exitCode, stdout, stderr, log } = await run([]);
    assert.equal(exitCode, 0);
    assert.deepEqual(log.generations[0].messages, [{ role: 'user', content: DEFAULT_PROMPT }]);
    assert.equal(stdout, 'fine\n');
    assert.equal(
      stderr,
      'kv q4 · 5 bits/element · 4 tokens in 0.1 MB (f16 0.3 MB, 3.2x) · decode 20.0 tok/s · wasm, 1 thread, SIMD\n',
    );
    assert.equal(log.numCloses, 1);
  });

  test('generate by name needs a prompt', async () => {
    const { exitCode, stderr, log } = await run(['generate']);
    assert.equal(exitCode, 2);
    assert.match(stderr, /^kvant: no prompt: give it as an argument/);
    assert.equal(log.loads.length, 0);
  });

  test('with a prompt it is generate, wherever flags stand', async () => {
    for (const args of [
      ['--seed', '3', 'Why', 'so?'],
      ['Why', '--seed', '3', 'so?'],
      ['--seed', '3', 'generate', 'Why', 'so?'],
      ['generate', 'Why', 'so?', '--seed=3'],
    ]) {
      const { log } = await run(args);
      assert.equal(log.generations[0].messages?.at(-1)?.content, 'Why so?', args.join(' '));
      assert.equal(log.generations[0].seed, 3);
    }
  });

  test('chat by name, after flags, too', async () => {
    const { exitCode, log } = await run(['--kv', 'q8', 'chat', '--ctx', '32'], { stdin: 'one\ntwo\n' });
    assert.equal(exitCode, 0);
    assert.deepEqual(log.messages, ['one', 'two']);
    assert.deepEqual([log.loads[0].kv, log.loads[0].ctx], ['q8', 32]);
  });

  test('on a terminal without a prompt it is chat, which refuses what it has no use for', async () => {
    const { exitCode, log } = await run([], { terminal: true, stdin: 'hello\r\u0004' });
    assert.equal(exitCode, 0);
    assert.deepEqual(log.messages, ['hello']);
    for (const args of [['--json'], ['--json', 'chat']]) {
      const refused = await run(args, { terminal: true });
      assert.equal(refused.exitCode, 2);
      assert.equal(refused.stderr, 'kvant: --json needs a prompt: chat does not know it\n');
      assert.equal(refused.log.loads.length, 0);
    }
  });
});

describe('generate', () => {
  test('hands every option on, and says nothing of those that were not given', async () => {
    const args = ['--temperature', '0.5', '--top-k', '4', '--top-p', '.9', '--min-p', '0.1', '--max-tokens', '7'];
    const penalties = ['--repetition-penalty', '1.2', '--frequency-penalty', '.5', '--presence-penalty', '-1'];
    const more = ['--stop', 'a', '--stop', 'b', '--system', 'Be brief.', 'Why?'];
    const { log } = await run([
      ...args,
      ...penalties,
      ...more,
      '--threads',
      '3',
      '--backend',
      'reference',
      '--model',
      'x.gguf',
    ]);
    const { signal, onPrefillProgress, ...request } = log.generations[0];
    assert.ok(signal && onPrefillProgress);
    assert.deepEqual(request, {
      maxTokens: 7,
      temperature: 0.5,
      topK: 4,
      topP: 0.9,
      minP: 0.1,
      repetitionPenalty: 1.2,
      frequencyPenalty: 0.5,
      presencePenalty: -1,
      stop: ['a', 'b'],
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Why?' },
      ],
    });
    const { signal: loadSignal, onProgress, ...load } = log.loads[0];
    assert.ok(loadSignal && onProgress);
    assert.deepEqual(load, { model: 'x.gguf', threads: 3, backend: 'reference' });
  });

  test('leaves sampling to the library, and ends after 1,024 tokens unless told', async () => {
    const { log, stderr } = await run(['Why?'], {}, { finishReason: 'length' });
    const { signal, onPrefillProgress, messages, ...request } = log.generations[0];
    assert.ok(signal && onPrefillProgress && messages);
    assert.deepEqual(request, { maxTokens: 1024 });
    assert.match(stderr, /^kvant: the answer is cut after 1,024 tokens; --max-tokens allows more\n/);
    const asked = await run(['Why?', '--max-tokens', '5'], {}, { finishReason: 'length' });
    assert.match(asked.stderr, /^kv q4/);
  });

  test('--raw gives the prompt as it is', async () => {
    const { log } = await run(['--raw', 'Once upon']);
    assert.equal(log.generations[0].prompt, 'Once upon');
    assert.equal(log.generations[0].messages, undefined);
  });

  test('--json prints one object and nothing else', async () => {
    const { stdout, stderr } = await run(['--json', 'Why?']);
    const report = JSON.parse(stdout) as JsonReport;
    assert.equal(report.text, 'fine');
    assert.equal(report.timings.prefill_tps, null);
    assert.equal(stdout.match(/\n/g)?.length, 1);
    assert.equal(stderr, '');
  });

  test('--logits counts positions in tokens, and leaves no file when they do not fit or rows are missing', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'kvant-routing-'));
    try {
      const path = join(folder, 'out.f32');
      const args = ['--logits', path, '--max-tokens', '0'];
      const beyond = await run([...args, '--logits-at', '0:9', 'abc']);
      assert.equal(beyond.exitCode, 2);
      assert.match(beyond.stderr, /^kvant: --logits-at 0:9:1: the prompt has 3 tokens, at positions 0 to 2\n$/);
      const missing = await run([...args, '--logits-at', '::', 'abc'], {}, { numRowsGiven: 2 });
      assert.equal(missing.exitCode, 1);
      assert.match(missing.stderr, /the engine gave 2 of 3 rows/);
      assert.deepEqual(await readdir(folder), []);
      const { log, exitCode } = await run([...args, 'abc']);
      assert.equal(exitCode, 0);
      const [generation] = log.generations;
      assert.deepEqual([generation.prompt, generation.logProbsAt], ['abc', [2]]);
      assert.deepEqual(await readdir(folder), ['out.f32']);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('an error on the way is one line, and the model is closed', async () => {
    const answer = function* (): Generator<string> {
      yield 'a';
      throw new KvantError('ENGINE_FAILED', 'the engine\n failed');
    };
    const { exitCode, stderr, log } = await run(['Why?'], {}, { answer });
    assert.equal(exitCode, 1);
    assert.equal(stderr, 'kvant: the engine failed\n');
    assert.equal(log.numCloses, 1);
    const debug = await run(['Why?'], { env: { KVANT_DEBUG: '1' } }, { answer });
    assert.match(debug.stderr, /KvantError: the engine[\s\S]*at /);
  });

  test('files are read before the model is loaded', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'kvant-routing-'));
    try {
      await writeFile(join(folder, 'ids.json'), '[1,');
      for (const args of [
        ['--file', join(folder, 'none.txt'), 'Why?'],
        ['--tokens', join(folder, 'ids.json')],
        ['--logits', join(folder, 'none', 'out.f32'), 'Why?'],
      ]) {
        const { exitCode, stderr, log } = await run(args);
        assert.equal(exitCode, 1);
        assert.match(stderr, /^kvant: [^\n]*kvant-routing-[^\n]*\n$/);
        assert.equal(log.loads.length, 0);
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

test('an environment variable that is empty counts as absent', async (t) => {
  process.env['KVANT_CTX'] = '';
  process.env['KVANT_KV'] = 'q8';
  t.after(() => {
    delete process.env['KVANT_CTX'];
    delete process.env['KVANT_KV'];
  });
  const { log } = await run(['--kv', 'f16', 'chat'], { stdin: 'one\n' });
  assert.equal(log.loads[0].ctx, undefined);
  assert.equal(log.loads[0].kv, 'f16', 'a flag before the command overrules the environment');
});
