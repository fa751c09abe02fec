import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { DISTRACTOR_TEXT } from '../eval/distractor-text.ts';
import type { KldReport } from './eval-kld.ts';
import type { NeedleReport } from './eval-needle.ts';
import type { PplReport } from './eval-ppl.ts';
import { needleTable } from './needle-table.ts';
import { preparePicture } from './picture.ts';
import { runProgram } from './program.ts';
import { FakeContext } from './testing/fake-context.ts';
import { runCli, TINY_MODEL } from './testing/run-cli.ts';

const MODEL = ['--model', TINY_MODEL, '--threads', '1'];

let folder: string;
let text: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kvant-eval-'));
  text = join(folder, 'alice.txt');
  await writeFile(text, DISTRACTOR_TEXT);
});
after(() => rm(folder, { recursive: true }));

async function evalJson(...args: string[]): Promise<unknown> {
  const run = await runCli(['eval', ...args, ...MODEL, '--json']);
  assert.equal(run.stderr, '');
  return JSON.parse(run.stdout);
}

describe('kvant eval kld', () => {
  it('prints what was measured, and a line for each format', async () => {
    const run = await runCli(['eval', 'kld', '--text', text, '--ctx', '256', '--kv', 'f16,q4', ...MODEL]);
    assert.equal(run.stderr, '');
    const [title, what, heading, f16, q4, ...rest] = run.stdout.trimEnd().split('\n');
    assert.match(title, /^kvant-tiny-llama-d64 · wasm, 1 thread, .*SIMD/);
    assert.match(
      what,
      /^alice\.txt: 1,024 of [\d,]+ tokens in 4 windows of 256; 508 positions from the middle of each window on, the last left out; activations f32$/,
    );
    assert.match(heading, /kv +bits\/element +mean KLD +median +99\.9% +same top 1 +ppl \/ f16 +RMS change of p$/);
    assert.match(f16, /^ +f16 +16\.00 +0 +0 +0 +100\.00% +1\.00000 +0\.000%$/);
    assert.match(q4, /^ +q4 +4\.\d\d +0\.00\d+ +0\.00\d+ +0\.0\d+ +9\d\.\d\d% +[01]\.\d{5} +0\.\d{3}%$/);
    assert.deepEqual(rest, []);
  });

  it('prints one JSON object, of tokens too, with int8 activations as it ships', async () => {
    const tokens = join(folder, 'tokens.u16');
    await writeFile(
      tokens,
      Uint16Array.from({ length: 600 }, (_, i) => (i * 7919) % 900),
    );
    const args = ['--tokens', tokens, '--ctx', '128', '--windows', '2', '--kv', 'q8', '--activations', 'int8'];
    const { rows, machine, ...header } = (await evalJson('kld', ...args)) as KldReport;
    assert.ok(machine.cores > 0);
    assert.deepEqual(
      { ...header, backend: header.backend.name },
      {
        node: process.version,
        model: 'kvant-tiny-llama-d64',
        backend: 'wasm',
        activations: 'int8',
        text: 'tokens.u16',
        text_tokens: 600,
        ctx: 128,
        windows: 2,
        positions: 126,
      },
    );
    const [row] = rows;
    assert.deepEqual([rows.length, row.kv], [1, 'q8']);
    assert.ok(row.kld_mean > 0 && row.kld_median < row.kld_99_9 && row.kld_99_9 <= row.kld_max);
    assert.ok(row.top1_agreement > 0.9 && row.rms_probability_change < 0.01 && row.perplexity > 1);
  });

  it('draws divergence against bits', async () => {
    const svg = join(folder, 'kld.svg');
    await evalJson('kld', '--text', text, '--ctx', '128', '--windows', '1', '--kv', 'f16,q8,q4', '--svg', svg);
    const drawn = await readFile(svg, 'utf8');
    assert.match(drawn, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
    assert.match(drawn, />q8</);
    // It has no place on a logarithmic scale.
    assert.doesNotMatch(drawn, />f16</);
  });

  it('ends at Ctrl-C with the exit code of the signal', async () => {
    const context = new FakeContext();
    const args = ['eval', 'kld', '--text', text, '--ctx', '256', '--windows', '3', '--kv', 'q8,q4', ...MODEL];
    const ended = runProgram(args, context);
    // The heading: the reference is loaded.
    await once(context.stdout, 'data');
    context.interrupt();
    assert.equal(await ended, 130);
    assert.doesNotMatch(context.texts.stdout, / q8 /);
  });
});

describe('kvant eval ppl', () => {
  it('prints perplexities, f16 first', async () => {
    const run = await runCli(['eval', 'ppl', '--text', text, '--ctx', '128', '--kv', 'q4', ...MODEL]);
    const [, , heading, f16, q4, ...rest] = run.stdout.trimEnd().split('\n');
    assert.match(heading, /kv +bits\/element +perplexity +by f16$/);
    assert.match(f16, /^ +f16 +16\.00 +[\d,]+\.\d{4} +1\.00000$/);
    assert.match(q4, /^ +q4 +4\.\d\d +[\d,]+\.\d{4} +[01]\.\d{5}$/);
    assert.deepEqual(rest, []);
  });

  it('prints one JSON object', async () => {
    const { rows, positions } = (await evalJson('ppl', '--text', text, '--ctx', '128', '--windows', '1')) as PplReport;
    assert.equal(positions, 63);
    assert.deepEqual(
      rows.map(({ kv }) => kv),
      ['f16', 'q8', 'q4'],
    );
    assert.ok(Math.abs(rows[2].perplexity / rows[0].perplexity / rows[2].perplexity_ratio - 1) < 1e-12);
  });
});

describe('kvant eval needle', () => {
  const ARGS = ['--ctx', '420', '--lengths', '1', '--depths', '2', '--trials', '1', '--kv', 'q4'];

  it('prints a table for each format: a line for each variant and length, a column for each depth', async () => {
    const run = await runCli(['eval', 'needle', ...ARGS, ...MODEL]);
    assert.equal(run.stderr, '');
    const [, what, gap, f16, heading, ...lines] = run.stdout.trimEnd().split('\n');
    assert.equal(
      what,
      'built-in text: 1 trial each, seed 1, up to 420 tokens; asked through the chat template; activations f32',
    );
    assert.equal(gap, '');
    assert.match(f16, /^f16 · 16\.00 bits\/element · \d of 6 right · log-probability of the right answer -\d+\.\d{3}$/);
    assert.match(heading, /variant +tokens +0% +100%$/);
    assert.match(lines[0], /^ +single +420 +[01]\/1 -\d+\.\d\d +[01]\/1 -\d+\.\d\d$/);
    assert.match(lines[4], /^q4 · 4\.\d\d bits\/element · \d of 6 right · .* [+-]\d\.\d{3} from f16$/);
    assert.match(lines[8], /^ +multi-value +420 +[01]\/1 [+-]\d+\.\d\d +[01]\/1 [+-]\d+\.\d\d$/);
    assert.equal(lines.length, 9);
  });

  it('prints one JSON object with every answer, and draws a heat map', async () => {
    const svg = join(folder, 'needle.svg');
    const args = [...ARGS, '--variants', 'multi-key,single', '--text', text, '--seed', '9', '--svg', svg];
    const report = (await evalJson('needle', ...args)) as NeedleReport;
    assert.deepEqual(
      [report.text, report.variants, report.lengths, report.depths, report.trials, report.seed],
      ['alice.txt', ['multi-key', 'single'], [420], [0, 1], 1, 9],
    );
    const [f16, q4] = report.rows;
    assert.deepEqual([f16.kv, q4.kv, q4.cells.length, q4.answers.length], ['f16', 'q4', 4, 4]);
    for (const { value, log_prob, answer } of q4.answers) {
      assert.match(value, /^\d{5}$/);
      assert.ok(log_prob < 0 && typeof answer === 'string');
    }
    assert.match(await readFile(svg, 'utf8'), />multi-key</);
  });

  it('has a place for a cell that is missing', () => {
    const cell = { variant: 'single', length: 64, depth: 1, trials: 3, right: 2, log_prob: -1, log_prob_change: 0.5 };
    const row = { kv: 'q4', bits_per_element: 4.4, asked: 3, right: 2, log_prob: -1, log_prob_change: 0.5 };
    const table = needleTable({ ...row, cells: [cell], answers: [] }, { depths: [0, 1], isReference: false });
    assert.match(table, /\n +single +64 +- +2\/3 \+0\.50\n$/);
  });
});

describe('kvant eval exact', () => {
  it('ends at Ctrl-C with the exit code of the signal', async () => {
    const context = new FakeContext();
    const ended = runProgram(['eval', 'exact', '--kv', 'q4', '--tokens', '160', ...MODEL], context);
    await once(context.stdout, 'data');
    context.interrupt();
    assert.equal(await ended, 130);
    assert.doesNotMatch(context.texts.stdout, /all .* cells/);
  });
});

describe('kvant eval', () => {
  it('explains itself', async () => {
    const run = await runCli(['eval', '--help']);
    assert.match(run.stdout, /kld .*ppl .*needle .*exact /s);
    for (const what of ['kld', 'ppl', 'needle', 'exact']) {
      const { stdout, exitCode } = await runCli(['eval', 'help', what]);
      assert.equal(exitCode, 0);
      assert.match(stdout, new RegExp(`^Usage: kvant eval ${what} .*Examples:\n  kvant eval ${what}`, 's'));
    }
  });

  it('refuses what it cannot measure, before it loads a model', async () => {
    const book = ['--text', text];
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [['kld'], /^kvant: give a text to measure on, with either --text FILE or --tokens FILE$/m],
      [['kld', ...book, '--tokens', 'x.u16'], /^kvant: give a text to measure on, with either/],
      [['kld', ...book, '--kv', 'f16,q9'], /^kvant: --kv q9: must be f16, q8/],
      [['kld', ...book, '--ctx', '8'], /^kvant: --ctx 8: must be at least 16/],
      [['kld', ...book, '--ctx', '9000'], /^kvant: --ctx must be at most 8,192, the model's context; got 9,000/],
      [['kld', ...book, '--windows', '0'], /^kvant: --windows 0: must be a whole number from 1/],
      [
        ['kld', ...book, '--ctx', '256', '--windows', '99'],
        /^kvant: the text has .* fewer than 99: use fewer windows, or a longer/,
      ],
      [['ppl', ...book, '--activations', 'f16'], /^kvant: --activations f16: must be f32 or int8/],
      [['ppl', ...book, '--svg', 'x.svg'], /^kvant: unknown option '--svg'/],
      [['needle', '--variants', 'single,haystack'], /^kvant: --variants haystack: must be one of single, multi-key/],
      [['needle', '--ctx', '64'], /^kvant: a context of 16 tokens has no room for 1 needles/],
      [['needle', '--depths', '0'], /^kvant: --depths 0: must be a whole number from 1 to 100/],
      [['exact', '--kv', 'f16,auto'], /^kvant: --kv auto: must be f16, q8/],
      [['exact', '--tokens', '100'], /^kvant: --tokens 100: must be a whole number from 160 to 100000/],
      [['exact', '--tokens', '9000'], /^kvant: --tokens must be at most 8,128, so that the model's context holds/],
      [['exact', '--activations', 'int8'], /^kvant: unknown option '--activations'/],
      [['speed'], /^kvant: unknown command 'speed'/],
    ];
    for (const [args, message] of cases) {
      const run = await runCli(['eval', ...args, ...(args[0] === 'speed' ? [] : MODEL)]);
      assert.match(run.stderr, message);
      assert.equal(run.exitCode, 2, args.join(' '));
    }
  });

  it('refuses files that are not there, or cannot be written', async () => {
    const run = await runCli(['eval', 'ppl', '--text', join(folder, 'none.txt'), ...MODEL]);
    assert.match(run.stderr, /^kvant: cannot read ".*none\.txt": no such file or directory/);
    assert.equal(run.exitCode, 1);
    const svg = join(folder, 'none', 'x.svg');
    await assert.rejects(preparePicture(svg), {
      code: 'FILE_ERROR',
      message: /^cannot write ".*x\.svg": no such file/,
    });
  });

  it('says how to install what draws, where it is missing', async () => {
    const missing = (): Promise<never> => Promise.reject(new Error("Cannot find package 'linkedom'"));
    const libraries = { plot: () => import('@observablehq/plot'), dom: missing };
    await assert.rejects(preparePicture(join(folder, 'x.svg'), libraries), {
      code: 'BACKEND_UNAVAILABLE',
      message: '--svg needs two more packages: run "npm i @observablehq/plot linkedom"',
    });
  });
});
