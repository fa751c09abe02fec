import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { randomTokens } from '../src/bench/random-tokens.ts';
import type { JsonReport } from '../src/cli/json-report.ts';
import { runCli, TINY_MODEL } from '../src/cli/testing/run-cli.ts';
import { DISTRACTOR_TEXT } from '../src/eval/distractor-text.ts';

/**
 * What a plan says of a process against what that process had resident at its peak. The constants of a process are measured on Linux x64
 * (engine/runtime-memory-node.ts); elsewhere there is nothing to hold them to.
 */

const CTX = 1024;
const VOCABULARY_SIZE = 256;
const TOLERANCE = 0.1;
const IS_MEASURED = process.platform === 'linux' && process.arch === 'x64';
const SKIP = !IS_MEASURED && 'the constants are those of Linux x64';

let folder: string;
let tokens: string;

/** Fills a context. */
async function fill(kv: string, model: readonly string[]): Promise<JsonReport['memory']> {
  const args = ['--tokens', tokens, '--max-tokens', '1', '--kv', kv, '--ctx', `${CTX}`, '--threads', '2', ...model];
  // A cache that is set for the whole process spares it 20 MB of type stripping, which users of the sources have as a rule.
  const run = await runCli(['generate', '--json', ...args], { env: { NODE_COMPILE_CACHE: '' } });
  assert.equal(run.stderr, '');
  return (JSON.parse(run.stdout) as JsonReport).memory;
}

function compare(t: TestContext, { planned_bytes, peak_rss_bytes }: JsonReport['memory']): void {
  const share = planned_bytes / peak_rss_bytes;
  t.diagnostic(`${(100 * share).toFixed(1)}% of ${(peak_rss_bytes / 1e6).toFixed(1)} MB`);
  assert.ok(Math.abs(share - 1) <= TOLERANCE, `${planned_bytes} planned, ${peak_rss_bytes} taken`);
}

describe(`what was planned is within ${100 * TOLERANCE}% of the peak of resident memory`, { skip: SKIP }, () => {
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kvant-plan-'));
    tokens = join(folder, 'tokens.json');
    await writeFile(tokens, JSON.stringify(randomTokens(CTX, VOCABULARY_SIZE)));
    // The first start fills the cache of compiled code.
    await fill('q4', ['--model', TINY_MODEL]);
  });
  after(() => rm(folder, { recursive: true }));

  const models: readonly (readonly [string, readonly string[]])[] = [
    ['a tiny model', ['--model', TINY_MODEL]],
    ['the embedded model, with what lies beside it', []],
    ['the embedded model without a calibration', ['--calibration', 'none']],
  ];
  test('a tiny model, q4 with a calibration', async (t) => {
    const text = join(folder, 'text.txt');
    const calibration = join(folder, 'tiny.json');
    await writeFile(text, DISTRACTOR_TEXT);
    const args = ['--text', text, '-o', calibration, '--transforms-only', '--windows', '1', '--ctx', '128'];
    assert.equal((await runCli(['calibrate', ...args, '--model', TINY_MODEL])).exitCode, 0);
    compare(t, await fill('q4', ['--model', TINY_MODEL, '--calibration', calibration]));
  });
  for (const [name, model] of models) {
    for (const kv of ['f16', 'q4']) {
      test(`${name}, ${kv}`, async (t) => {
        compare(t, await fill(kv, model));
      });
    }
  }
});
