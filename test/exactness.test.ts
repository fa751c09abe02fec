import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { evalExactCommand, type ExactReport } from '../src/cli/eval-exact.ts';
import { FakeContext } from '../src/cli/testing/fake-context.ts';
import type { EnginePlatform } from '../src/engine/load-engine.ts';
import { nodePlatform } from '../src/engine/platform-node.ts';
import type { EvalSetup } from '../src/eval/eval-engine.ts';
import { isExact, runExactness, type ConditionResult, type ExactnessOptions } from '../src/eval/exactness.ts';
import type { Condition } from '../src/eval/exactness/condition.ts';
import { EXACTNESS_CONDITIONS } from '../src/eval/exactness/conditions.ts';
import type { Kernels, Step } from '../src/kernels/kernels.ts';
import { openModelFile, type ModelFile } from '../src/model/model-file.ts';
import { MemorySource } from '../src/model/testing/memory-source.ts';
import { Tokenizer } from '../src/tokens/tokenizer.ts';
import { randomModel } from './support/random-model.ts';

/** The matrix of exactness on models of random weights, whose logits depend on every bit of every key and value. */

const MODEL = randomModel({ architecture: 'llama', headDim: 64, numHeads: 4, numKvHeads: 2 });
const SMALL_MODEL = randomModel({ architecture: 'qwen3', headDim: 32, numHeads: 2, numKvHeads: 1 });
const FORMATS = ['f16', 'q8', 'q4', 'k3v2'];
/** Two pages and an open one, which is sealed while the answer is generated. */
const NUM_TOKENS = 186;

const folder = mkdtempSync(join(tmpdir(), 'kvant-exact-'));
after(() => rmSync(folder, { recursive: true }));

function setupOf(model: Uint8Array, backend: 'wasm' | 'reference', platform: EnginePlatform = nodePlatform): EvalSetup {
  return {
    load: { modelPath: 'random', requestedAtMs: 0, kv: 'q4', ctx: undefined, threads: 1, backend, maxSequences: 1 },
    activations: 'int8',
    openModel: () => openRandom(model),
    platform,
    signal: new AbortController().signal,
    scratchFile: join(folder, 'exact.kvp'),
  };
}

function openRandom(model: Uint8Array): Promise<ModelFile> {
  return openModelFile(new MemorySource(model));
}

async function matrixOf(setup: EvalSetup, options: Partial<ExactnessOptions>): Promise<ConditionResult[]> {
  const results: ConditionResult[] = [];
  const tokenizer = new Tokenizer((await setup.openModel('')).tokenizerMetadata);
  await runExactness({ kvFormats: FORMATS, numTokens: NUM_TOKENS, ...options }, tokenizer, setup, {
    onProgress: () => undefined,
    onLoaded: () => Promise.resolve(),
    onResult: async (result) => void results.push(result),
  });
  return results;
}

function assertExact(results: readonly ConditionResult[], names: readonly string[]): void {
  assert.deepEqual(
    results.map(({ condition }) => condition),
    names,
  );
  for (const { condition, cells } of results) {
    for (const cell of cells) assert.ok(isExact(cell), `${condition}: ${JSON.stringify(cell)}`);
  }
}

/** Those whose names end in one of some endings. */
function conditions(...endings: readonly string[]): Condition[] {
  return EXACTNESS_CONDITIONS.filter(({ name }) => endings.some((ending) => name.endsWith(ending)));
}

const ALL_NAMES = EXACTNESS_CONDITIONS.map(({ name }) => name);

test('wasm: logits and tokens are === in all conditions and formats', async () => {
  const results = await matrixOf(setupOf(MODEL, 'wasm'), {});
  assertExact(results, ALL_NAMES);
  for (const { condition, cells } of results) {
    assert.deepEqual(
      cells.map(({ kv }) => kv),
      FORMATS,
    );
    // Rows of prompts that end at the end of a page plus one: of the last token only, one for each of two pages.
    for (const { numRows } of cells) assert.ok(numRows >= 2, `${condition}: ${numRows} rows`);
  }
});

test('reference: logits and tokens are === in batches, with prefixes, preempted, forked and rolled back', async () => {
  const chosen = conditions(
    'batch of 3',
    'chunks of 7',
    'end - 1',
    'again',
    'inside a page',
    'redone',
    'other formats',
  );
  const options = { kvFormats: ['q4'], numTokens: 160, conditions: chosen };
  assertExact(
    await matrixOf(setupOf(SMALL_MODEL, 'reference'), options),
    chosen.map(({ name }) => name),
  );
});

test('conditions of threads are left out where the backend has none', async () => {
  const options = { kvFormats: ['q4'], numTokens: 160, conditions: conditions('thread', 'threads') };
  assert.deepEqual(await matrixOf(setupOf(SMALL_MODEL, 'reference'), options), []);
});

/** A platform whose kernels, but for the first ones, which compute the baseline, flip a bit of a sealed page before a step that reads it. */
function flippingPlatform(numExact: number): EnginePlatform {
  let numCreated = 0;
  return {
    ...nodePlatform,
    async createKernels(backend, config) {
      const kernels = await nodePlatform.createKernels(backend, config);
      return ++numCreated <= numExact ? kernels : flipOnce(kernels);
    },
  };
}

function flipOnce(kernels: Kernels): Kernels {
  let hasFlipped = false;
  const beginStep = (step: Step): void => {
    const segment = step.segments.find(({ sealedPages }) => sealedPages.length > 0);
    if (segment && !hasFlipped) {
      hasFlipped = true;
      const [page] = segment.sealedPages;
      const bytes = kernels.readPage(segment.pages.sealed, page);
      assert.ok(bytes instanceof Uint8Array);
      bytes[(bytes.length >> 1) | 1] ^= 0x40;
      kernels.writePage(segment.pages.sealed, page, bytes);
    }
    kernels.beginStep(step);
  };
  return new Proxy(kernels, {
    get(target, name) {
      if (name === 'beginStep') return beginStep;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

for (const kv of FORMATS) {
  test(`${kv}: one flipped bit in a sealed page shows in the cell, at the first position behind the page`, async () => {
    const setup = setupOf(MODEL, 'wasm', flippingPlatform(1));
    const options = {
      kvFormats: [kv],
      conditions: conditions('batch of 1'),
    };
    const [{ cells }] = await matrixOf(setup, options);
    const [{ firstDifference, problem }] = cells;
    assert.equal(problem, undefined);
    assert.equal(firstDifference?.what, 'logits');
    assert.equal(firstDifference?.run, 'greedy');
    const end = kv === 'f16' ? 64 : 68;
    assert.ok(firstDifference.position >= end && firstDifference.position < end + 3, `${firstDifference.position}`);
  });
}

test('a cell in which what it is about did not happen is not ===', async () => {
  const missing: Condition = {
    name: 'hit without a cache',
    run: (cell) =>
      cell.withEngine({}, async (engine) => {
        await cell.check(engine, { name: 'first run', rowsFrom: 0, cachedTokens: 68 });
      }),
  };
  const nothing: Condition = { name: 'nothing', run: () => Promise.resolve() };
  const results = await matrixOf(setupOf(MODEL, 'wasm'), { kvFormats: ['q4'], conditions: [missing, nothing] });
  const [[hit], [none]] = results.map(({ cells }) => cells);
  assert.deepEqual(
    [hit.firstDifference, hit.problem],
    [undefined, 'first run: 0 tokens were found in the cache, not 68'],
  );
  assert.equal(none.problem, 'nothing was compared');
  assert.ok(!isExact(hit) && !isExact(none));
});

test('a prompt for which the context is too short is refused, with the longest one', async () => {
  await assert.rejects(matrixOf(setupOf(MODEL, 'wasm'), { numTokens: 2000 }), {
    code: 'INVALID_OPTION',
    message: /^option "tokens" must be at most 1,984, so that the model's context holds the prompt .*; got 2,000$/,
  });
});

/** The command, on the random model and with the conditions and the platform that are given. */
async function runCommand(platform: EnginePlatform, json?: true): Promise<{ exitCode: number; stdout: string }> {
  const context = new FakeContext();
  const options = { kv: ['f16', 'q4'], tokens: NUM_TOKENS, ...(json && { json }) };
  const exitCode = await evalExactCommand(options, context, (options, _tokenizer, { signal }, events) => {
    const setup = { ...setupOf(MODEL, 'wasm', platform), signal };
    return openRandom(MODEL).then(({ tokenizerMetadata }) => {
      const chosen = { ...options, conditions: conditions('batch of 1', 'redone') };
      return runExactness(chosen, new Tokenizer(tokenizerMetadata), setup, events);
    });
  });
  return { exitCode, stdout: context.texts.stdout };
}

test('the command prints a row for each condition and ends with 0 where all cells are ===', async () => {
  const { exitCode, stdout } = await runCommand(nodePlatform);
  const [title, what, heading, batch, rolled, end, ...rest] = stdout.trimEnd().split('\n');
  assert.match(title, /^test · wasm, 1 thread, /);
  assert.match(what, /^186 tokens of a built-in text, compared with the prompt alone: === all bits equal, /);
  assert.match(heading, /^condition +f16 +q4$/);
  assert.match(batch, /^batch of 1 +=== 217\/32 +=== 217\/32$/);
  assert.match(rolled, /^rolled back and redone +=== [\d,]+\/\d+ +=== [\d,]+\/\d+$/);
  assert.deepEqual([end, rest, exitCode], ['all 4 cells ===', [], 0]);
});

test('the command says where cells differ, and ends with 1', async () => {
  const { exitCode, stdout } = await runCommand(flippingPlatform(2));
  assert.match(stdout, /^batch of 1 +!== at 6\d +!== at 6\d$/m);
  assert.match(stdout, /^ {4}f16, greedy: logits of position 6\d differ: \d+ of 64 logits$/m);
  assert.match(stdout, /^4 of 4 cells are not ===$/m);
  assert.equal(exitCode, 1);
});

test('the command prints one JSON object, with the first difference of each cell, and ends with 1', async () => {
  const { exitCode, stdout } = await runCommand(flippingPlatform(2), true);
  const report = JSON.parse(stdout) as ExactReport;
  assert.deepEqual([report.tokens, report.exact, report.conditions.length, exitCode], [NUM_TOKENS, false, 2, 1]);
  const [f16, q4] = report.conditions[1].cells;
  assert.deepEqual([f16.kv, q4.kv, f16.exact, f16.problem], ['f16', 'q4', false, null]);
  assert.equal(f16.first_difference?.what, 'logits');
});
