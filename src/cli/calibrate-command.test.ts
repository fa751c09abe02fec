import assert from 'node:assert/strict';
import { copyFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { load } from '../engine/load-node.ts';
import { DISTRACTOR_TEXT } from '../eval/distractor-text.ts';
import type { CalibrateReport } from './calibrate-command.ts';
import { runProgram } from './program.ts';
import { FakeContext } from './testing/fake-context.ts';
import { runCli, TINY_MODEL } from './testing/run-cli.ts';

const MODEL = ['--model', TINY_MODEL, '--threads', '1'];
const QUICK = ['--transforms-only', '--windows', '1', '--ctx', '128'];

let folder: string;
let text: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kvant-calibrate-'));
  // Its name takes more bytes than it has characters.
  text = join(folder, 'élan.txt');
  await writeFile(text, DISTRACTOR_TEXT);
});
after(() => rm(folder, { recursive: true }));

async function calibrateJson(...args: string[]): Promise<CalibrateReport> {
  const run = await runCli(['calibrate', '--text', text, ...args, '--json']);
  assert.deepEqual([run.stderr, run.exitCode], ['', 0]);
  return JSON.parse(run.stdout) as CalibrateReport;
}

describe('kvant calibrate', () => {
  it('writes a file, and says which, how large it is and how long it took', async () => {
    const output = join(folder, 'said.json');
    const run = await runCli(['calibrate', '--text', text, '-o', output, ...QUICK, ...MODEL]);
    assert.deepEqual([run.stderr, run.exitCode], ['', 0]);
    assert.ok(run.stdout.startsWith(`${output}: `));
    assert.match(run.stdout, /said\.json: 0\.2 MB, learnt in \d+ s\n$/);
  });

  it('prints one JSON object about a file that is whole', async () => {
    const output = join(folder, 'whole.json');
    const { seconds, fingerprint, ...report } = await calibrateJson('-o', output, ...QUICK, ...MODEL);
    assert.ok(seconds > 0 && seconds < 600);
    assert.deepEqual(report, {
      model: TINY_MODEL,
      output,
      output_bytes: (await stat(output)).size,
      tokens: 128,
      upgrades: [],
    });
    assert.match(fingerprint, /^sha256:[0-9a-f]{64}$/);
    const written = JSON.parse(await readFile(output, 'utf8')) as {
      readonly model: { readonly fingerprint: string };
      readonly source: string;
    };
    assert.equal(written.model.fingerprint, fingerprint);
    assert.equal(written.source, 'the first 128 tokens of élan.txt');
    assert.deepEqual(
      (await readdir(folder)).filter((name) => name.endsWith('.partial')),
      [],
    );
  });

  it('learns from whole pages of as many windows as the text has, and says how many tokens that were', async () => {
    const output = join(folder, 'pages.json');
    const args = ['-o', output, '--transforms-only', '--windows', '2', '--ctx', '200', ...MODEL];
    assert.equal((await calibrateJson(...args)).tokens, 2 * 192);
  });

  it('puts the file beside the model, where formats of few bits find it and mixes miss their widths', async () => {
    const model = join(folder, 'tiny.gguf');
    await copyFile(TINY_MODEL, model);
    const { output } = await calibrateJson('--model', model, '--threads', '1', ...QUICK);
    assert.equal(output, join(folder, 'tiny.kvant.json'));
    const loaded = await load({ model, kv: 'q3', ctx: 128, threads: 1 });
    assert.equal(loaded.info.calibration, 'the first 128 tokens of élan.txt');
    await loaded.close();
    const mixed = await runCli(['--model', model, '--kv', 'mix3', '--raw', 'a']);
    assert.equal(mixed.exitCode, 2);
    assert.match(mixed.stderr, /^kvant: KV format "mix3" needs a calibration that says which layers get which bits/);
  });

  it('orders upgrades unless told not to, so that mixes spend bits where they count', async () => {
    const output = join(folder, 'widths.json');
    const { upgrades } = await calibrateJson('-o', output, '--windows', '1', '--ctx', '128', ...MODEL);
    assert.equal(upgrades.length, 6 * new Set(upgrades).size);
    assert.ok(upgrades.every((upgrade) => /^[kv]\d+$/.test(upgrade)));
    const args = ['--kv', 'mix3', '--calibration', output, '--raw', '--json', '--max-tokens', '2', 'a', ...MODEL];
    const answer = JSON.parse((await runCli(args)).stdout) as { readonly kv: { readonly format: string } };
    assert.equal(answer.kv.format, 'mix3');
  });

  it('ends at Ctrl-C with the exit code of the signal, and leaves no file', async () => {
    const context = new FakeContext();
    const output = join(folder, 'interrupted.json');
    const ended = runProgram(['calibrate', '--text', text, '-o', output, ...QUICK, ...MODEL], context);
    const interrupting = setInterval(() => context.interrupt(), 20);
    assert.equal(await ended, 130);
    clearInterval(interrupting);
    assert.deepEqual(
      (await readdir(folder)).filter((name) => name.startsWith('interrupted')),
      [],
    );
  });

  it('explains itself', async () => {
    const { stdout, exitCode } = await runCli(['calibrate', '--help']);
    assert.equal(exitCode, 0);
    assert.match(stdout, /^Usage: kvant calibrate .*Examples:\n {2}kvant calibrate --model/s);
    for (const flag of ['model', 'text', 'output', 'windows', 'ctx', 'transforms-only', 'threads', 'backend', 'json']) {
      assert.match(stdout, new RegExp(`--${flag}\\b`));
    }
    assert.match((await runCli(['--help'])).stdout, /\n {2}calibrate \[options\] +learn from a text/);
  });

  it('refuses what it cannot learn from, or cannot write', async () => {
    const short = join(folder, 'short.txt');
    await writeFile(short, 'Too little to learn from.');
    const missing = join(folder, 'missing');
    const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
      [[], 2, /^kvant: give a text to learn from with --text FILE\n$/],
      [['--text', short], 2, /^kvant: the text has \d+ tokens: give one of at least 128, better 16,000\n$/],
      [['--text', missing], 1, /^kvant: cannot read ".*missing": no such file or directory\n$/],
      // Before anything is read.
      [['--text', missing, '-o', join(missing, 'c.json')], 1, /^kvant: cannot write ".*c\.json": no such file or/],
      [['--text', text, '-o', join(short, 'c.json')], 1, /^kvant: cannot write ".*c\.json": a part of the path is not/],
      [['--text', text, '-o', ''], 2, /^kvant: --output "": must be the path of a file/],
      [['--text', text, '--ctx', '127'], 2, /^kvant: --ctx 127: must be a whole number from 128 to 1000000/],
      [['--text', text, '--ctx', '9000'], 2, /^kvant: --ctx must be at most 8,192, the model's context; got 9,000\n$/],
      [['--text', text, '--windows', '0'], 2, /^kvant: --windows 0: must be a whole number from 1 to 10000/],
      [['--text', text, '--kv', 'q4'], 2, /^kvant: unknown option '--kv'/],
      [['--text', text, '--model', missing], 1, /^kvant: there is no model file at ".*missing": check the path/],
    ];
    for (const [args, exitCode, message] of cases) {
      const run = await runCli(['calibrate', '-o', join(folder, 'never.json'), ...MODEL, ...args]);
      assert.match(run.stderr, message);
      assert.deepEqual([run.stdout, run.exitCode], ['', exitCode], args.join(' '));
    }
    assert.ok(!(await readdir(folder)).includes('never.json'));
  });
});
