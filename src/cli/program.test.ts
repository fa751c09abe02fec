import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { writeGguf } from '../../test/support/gguf-writer.ts';
import { load } from '../engine/load-node.ts';
import type { JsonReport } from './json-report.ts';
import { runCli, TINY_MODEL } from './testing/run-cli.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kvant-cli-'));
});
after(() => rm(folder, { recursive: true }));

const TINY = ['--model', TINY_MODEL, '--max-tokens', '8'];

describe('refuses, with an error that names the fix', () => {
  const cases: readonly (readonly [string, readonly string[], number, RegExp])[] = [
    ['an unknown option, with a suggestion', ['--kb', 'q4', 'hi'], 2, /unknown option '--kb' \(Did you mean --kv\?\)/],
    [
      'an unknown KV format',
      ['--kv', 'q9', 'hi'],
      2,
      /--kv q9: must be f16, q8, q6, q5, q4, q3, q2, q1, or kAvB.* mixN.*, or auto$/m,
    ],
    ['zero threads', ['--threads', '0', 'hi'], 2, /--threads 0: must be a whole number from 1 to 256/],
    ['a number that is none', ['--temperature', 'hot', 'hi'], 2, /--temperature hot: must be a number of at least 0/],
    ['a negative number of tokens', ['--max-tokens', '-1', 'hi'], 2, /--max-tokens -1: must be a whole number/],
    ['a range of positions that is none', ['--logits', 'x', '--logits-at', 'a:b', 'hi'], 2, /START:END:STEP/],
    ['positions without a file for them', ['--logits-at', '0:1:1', 'hi'], 2, /--logits-at needs --logits FILE/],
    ['a missing model', ['--model', 'no-such.gguf', 'hi'], 1, /no model file at "no-such.gguf": check the path/],
    ['a file that is no model', ['--model', 'package.json', 'hi'], 1, /not a GGUF file/],
    [
      'a context beyond the model',
      [...TINY, '--ctx', '100000', 'hi'],
      2,
      /^kvant: --ctx must be at most 8,192, the model's context; got 100,000\n$/,
    ],
    [
      'a prompt beyond the context',
      [...TINY, '--ctx', '8', 'Once upon a time'],
      1,
      /prompt has \d+ tokens.*holds 8.*--ctx/,
    ],
    ['a document that is missing', [...TINY, '--file', 'no-such.txt', 'hi'], 1, /no-such\.txt/],
    ['a document that is no text', [...TINY, '--file', TINY_MODEL, 'hi'], 1, /UTF-8/],
    ['an empty prompt', ['generate', '-'], 2, /nothing was piped in/],
  ];
  for (const [title, args, exitCode, message] of cases) {
    test(title, async () => {
      const run = await runCli(args);
      assert.match(run.stderr, message);
      assert.match(run.stderr, /^kvant: .*\n$/, 'one line');
      assert.equal(run.stdout, '');
      assert.equal(run.exitCode, exitCode);
    });
  }

  test('another architecture, with those that it runs', async () => {
    const path = join(folder, 'moe.gguf');
    await writeFile(path, writeGguf({ metadata: [['general.architecture', 'qwen3moe']], tensors: [] }));
    const run = await runCli(['--model', path, 'hi']);
    assert.match(run.stderr, /^kvant: .* has the architecture "qwen3moe"; supported: llama, qwen2, qwen3\n$/);
    assert.equal(run.exitCode, 1);
  });

  test('a model that is cut short', async () => {
    const path = join(folder, 'cut.gguf');
    await writeFile(path, (await readFile(TINY_MODEL)).subarray(0, 3_000_000));
    const run = await runCli(['--model', path, 'hi']);
    assert.match(
      run.stderr,
      /cut short: the file has 3,000,000 bytes, its tensors need 6,343,552 bytes. Download it again/,
    );
    assert.equal(run.exitCode, 1);
  });
});

describe('helps', () => {
  test('with the program, its commands and their options', async () => {
    const [program, generate, chat] = await Promise.all(
      [['--help'], ['generate', '--help'], ['help', 'chat']].map((args) => runCli(args)),
    );
    assert.match(program.stdout, /generate \[options\].*\n.*chat \[options\]/);
    for (const flag of [
      'model',
      'kv',
      'calibration',
      'ctx',
      'max-tokens',
      'temperature',
      'top-p',
      'top-k',
      'min-p',
      'seed',
      'speculate',
      'draft-model',
      'stop',
      'threads',
      'backend',
    ]) {
      assert.match(generate.stdout, new RegExp(`--${flag} `));
      assert.match(chat.stdout, new RegExp(`--${flag} `));
    }
    for (const flag of ['file', 'raw', 'tokens', 'logits', 'logits-at', 'json']) {
      assert.match(generate.stdout, new RegExp(`--${flag}\\b`));
    }
    assert.deepEqual(
      [program, generate, chat].map(({ exitCode }) => exitCode),
      [0, 0, 0],
    );
  });

  test('with the version', async () => {
    const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
    assert.equal((await runCli(['--version'])).stdout, `${version}\n`);
  });
});

describe('generates', () => {
  test('text to stdout and a summary to stderr', async () => {
    const run = await runCli([...TINY, '--raw', 'Once upon a time']);
    assert.equal(run.exitCode, 0);
    assert.ok(run.stdout.length > 1 && run.stdout.endsWith('\n'));
    assert.match(
      run.stderr,
      /^kv q4 · [\d.]+ bits\/element · [\d,]+ tokens in .* · prefill .* tok\/s · decode .* tok\/s · wasm, \d+ threads?, .*SIMD.*\n$/,
    );
  });

  test('one JSON object with --json, the same for the same words and a piped prompt', async () => {
    const args = [...TINY, '--kv', 'k8v4', '--threads', '1', '--json', '--raw'];
    const [words, piped] = await Promise.all([
      runCli([...args, 'It', 'was a dark night']),
      runCli(args, { stdin: 'It was a dark night\n' }),
    ]);
    const report = JSON.parse(words.stdout) as JsonReport;
    assert.deepEqual(Object.keys(report), [
      ...['model', 'backend', 'kv', 'prompt_tokens', 'cached_tokens', 'completion_tokens', 'token_ids', 'text'],
      ...['finish_reason', 'seed', 'speculation', 'timings', 'memory'],
    ]);
    assert.equal(report.kv.format, 'k8v4');
    assert.equal(report.backend.threads, 1);
    assert.equal(report.completion_tokens, 8);
    assert.equal(report.token_ids.length, 8);
    assert.equal(report.finish_reason, 'length');
    assert.equal((JSON.parse(piped.stdout) as JsonReport).text, report.text);
  });

  test('options from the environment, which flags overrule', async () => {
    const env = { KVANT_MODEL: TINY_MODEL, KVANT_MAX_TOKENS: '3', KVANT_KV: 'q8' };
    const run = await runCli(['--json', '--raw', '--kv', 'f16', 'The'], { env });
    const report = JSON.parse(run.stdout) as JsonReport;
    assert.deepEqual([report.completion_tokens, report.kv.format], [3, 'f16']);
    const wrong = await runCli(['The'], { env: { KVANT_THREADS: 'many' } });
    assert.match(wrong.stderr, /KVANT_THREADS=many: must be a whole number/);
  });

  test('log-probabilities of a prompt given as tokens, as the library gives them', async () => {
    const tokens = Array.from({ length: 70 }, (_, i) => 300 + i);
    await writeFile(join(folder, 'ids.json'), JSON.stringify(tokens));
    const path = join(folder, 'out.f32');
    const args = ['--model', TINY_MODEL, '--max-tokens', '0', '--tokens', join(folder, 'ids.json')];
    const run = await runCli([...args, '--logits', path, '--logits-at', '10:70:20', '--json']);
    assert.equal(run.stderr, '');
    assert.equal((JSON.parse(run.stdout) as JsonReport).completion_tokens, 0);
    const bytes = await readFile(path);
    const rows: Float32Array[] = [];
    await using model = await load({ model: TINY_MODEL });
    await model.generate({
      tokens,
      maxTokens: 0,
      logProbsAt: [10, 30, 50],
      onLogProbs: (_, row) => rows.push(row),
    }).result;
    assert.ok(
      bytes.equals(Buffer.concat(rows.map((row) => new Uint8Array(row.buffer, row.byteOffset, row.byteLength)))),
    );
    assert.deepEqual(
      (await readdir(folder)).filter((name) => name.endsWith('.tmp')),
      [],
    );
  });

  test('until Ctrl-C, and prints what came', async () => {
    const run = await runCli(['--model', TINY_MODEL, '--raw', '--backend', 'reference', 'Once'], {
      onStart: (child) => child.stdout.once('data', () => child.kill('SIGINT')),
    });
    assert.equal(run.exitCode, 130);
    assert.match(run.stdout, /\n$/);
    assert.match(run.stderr, /reference, 1 thread, float64/);
  });

  test('quietly no further when nobody reads any more', async () => {
    const run = await runCli(['--model', TINY_MODEL, '--raw', 'Once'], {
      onStart: (child) => child.stdout.once('data', () => child.stdout.destroy()),
    });
    assert.equal(run.stderr, '');
    assert.equal(run.exitCode, 0);
  });
});

describe('chats', () => {
  test('a turn for each line that is piped in', async () => {
    const run = await runCli(['chat', ...TINY], { stdin: 'Hello\n\n/stats\n/nonsense\nGo on\n' });
    assert.equal(run.exitCode, 0);
    assert.equal(run.stderr.match(/^kv q4 · /gm)?.length, 3, 'two answers and /stats');
    assert.match(run.stderr, /unknown command \/nonsense: \/help lists the commands/);
  });
});
