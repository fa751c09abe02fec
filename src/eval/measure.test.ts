import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { tinyModel } from '../../test/support/reference.ts';
import type { Activations } from '../kernels/kernels.ts';
import { compareFormats, type FormatFidelity } from './compare-formats.ts';
import { EvalEngine, type EvalSetup } from './eval-engine.ts';
import { DISTRACTOR_TEXT } from './distractor-text.ts';
import { measureNeedles, type FormatNeedles } from './needle.ts';
import { Haystack } from './haystack.ts';
import { needlePrompts } from './needle-prompt.ts';
import { NEEDLE_VARIANTS, needleTasks } from './needle-task.ts';
import { measurePerplexity, type FormatPerplexity } from './perplexity.ts';
import { evalSetup, prepareModel } from './setup-node.ts';
import { cutWindows } from './windows.ts';

/** On a real, tiny model: text to figures. */

const MODEL = tinyModel('llama-d64.Q8_0.gguf');
const CTX = 450;
const WINDOW = 320;
const NOTHING = { onProgress: () => undefined, onLoaded: async () => undefined };

function setupOf(activations: Activations = 'f32', signal = new AbortController().signal): Promise<EvalSetup> {
  return evalSetup({ model: MODEL, ctx: CTX, threads: 1 }, activations, signal);
}

let windows: number[][];
before(async () => {
  const tokenizer = await prepareModel(await setupOf(), []);
  windows = cutWindows(tokenizer.encode(DISTRACTOR_TEXT), { ctx: WINDOW, windows: 2, mostByDefault: 2 });
});

async function compare(kvFormats: readonly string[], setup?: EvalSetup): Promise<FormatFidelity[]> {
  const results: FormatFidelity[] = [];
  await compareFormats(kvFormats, windows, setup ?? (await setupOf()), {
    ...NOTHING,
    onResult: async (row) => void results.push(row),
  });
  return results;
}

describe('compareFormats', () => {
  it('finds that f16 loses nothing at all against f16, and q8 less than q4', async () => {
    const [f16, q8, q4] = await compare(['f16', 'q8', 'q4']);
    assert.deepEqual(f16.kld, { mean: 0, median: 0, percentile999: 0, max: 0 });
    assert.deepEqual([f16.top1Agreement, f16.perplexityRatio, f16.rmsProbabilityChange], [1, 1, 0]);
    assert.equal(f16.numPositions, 2 * 159);
    assert.ok(q8.kld.mean > 0 && q8.kld.mean < q4.kld.mean / 10, `${q8.kld.mean}, ${q4.kld.mean}`);
    assert.ok(q4.kld.mean < 0.01 && q4.top1Agreement > 0.9, JSON.stringify(q4));
    assert.ok(q8.rmsProbabilityChange < q4.rmsProbabilityChange);
    assert.deepEqual(
      [f16, q8, q4].map(({ kv, bitsPerElement }) => [kv, Math.floor(bitsPerElement)]),
      [
        ['f16', 16],
        ['q8', 8],
        ['q4', 4],
      ],
    );
  });

  it('gives the same figures where memory holds one format at a time only', async () => {
    const setup = await setupOf();
    let numLoaded = 0;
    const small: EvalSetup = {
      ...setup,
      openModel: async (path) => (numLoaded++, setup.openModel(path)),
      platform: { ...setup.platform, memoryLimits: () => [{ bytes: 3e7, name: 'the test', of: 'addresses' }] },
    };
    assert.deepEqual(await compare(['q8', 'q4'], small), await compare(['q8', 'q4']));
    // The reference beside each.
    assert.equal(numLoaded, 4);
  });

  it('measures another arithmetic with int8 activations', async () => {
    const [f32] = await compare(['q4']);
    const [int8] = await compare(['q4'], await setupOf('int8'));
    assert.notEqual(f32.kld.mean, int8.kld.mean);
    assert.notEqual(f32.perplexity, int8.perplexity);
  });

  it('ends where it is aborted, with the reason', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const events = {
      onProgress: (text: () => string) => void (text().startsWith('window 2') && controller.abort(reason)),
      onLoaded: async () => undefined,
      onResult: () => Promise.reject(new Error('nothing is known yet')),
    };
    await assert.rejects(
      compareFormats(['q8', 'q4'], windows, await setupOf('f32', controller.signal), events),
      reason,
    );
  });

  it('does not wait for an engine that fails', async () => {
    const wrong = [[...windows[0].slice(0, -1), 1e6]];
    await assert.rejects(
      compareFormats(['q8', 'q4'], wrong, await setupOf(), { ...NOTHING, onResult: async () => undefined }),
      {
        code: 'INVALID_OPTION',
        message: /token id 1000000 is not in the model's vocabulary/,
      },
    );
  });
});

describe('measurePerplexity', () => {
  it('agrees with the comparison, and takes f16 first', async () => {
    const results: FormatPerplexity[] = [];
    const events = { ...NOTHING, onResult: async (row: FormatPerplexity) => void results.push(row) };
    await measurePerplexity(['q4', 'f16'], windows, await setupOf(), events);
    const [compared] = await compare(['q4']);
    assert.deepEqual(
      results.map(({ kv, numPositions }) => [kv, numPositions]),
      [
        ['f16', 318],
        ['q4', 318],
      ],
    );
    assert.equal(results[0].ratio, 1);
    assert.ok(Math.abs(results[1].perplexity / compared.perplexity - 1) < 1e-12);
    assert.ok(Math.abs(results[1].ratio / compared.perplexityRatio - 1) < 1e-12);
  });
});

describe('measureNeedles', () => {
  const options = {
    text: DISTRACTOR_TEXT,
    variants: NEEDLE_VARIANTS,
    lengths: [350, 450],
    depths: [0, 1],
    trials: 1,
    seed: 3,
  };

  async function measure(kvFormats: readonly string[], seed = 3): Promise<FormatNeedles[]> {
    const results: FormatNeedles[] = [];
    const events = { ...NOTHING, onResult: async (row: FormatNeedles) => void results.push(row) };
    await measureNeedles(kvFormats, { ...options, seed }, await setupOf(), events);
    return results;
  }

  it('scores every variant, length and depth, the same for the same seed', async () => {
    const [f16, q4] = await measure(['q4']);
    const places = NEEDLE_VARIANTS.flatMap((variant) => [350, 450].flatMap((length) => [`${variant} ${length}`]));
    assert.deepEqual([...new Set(f16.cells.map(({ variant, length }) => `${variant} ${length}`))], places);
    assert.equal(f16.cells.length, 12);
    for (const cell of f16.cells) assert.ok(cell.logProb < 0 && cell.logProbChange === 0 && cell.numTrials === 1);
    assert.ok(q4.cells.some(({ logProbChange }) => logProbChange !== 0));
    assert.deepEqual(
      q4.scores.map(({ value }) => value),
      f16.scores.map(({ value }) => value),
    );
    assert.deepEqual(await measure(['q4']), [f16, q4]);
    const [other] = await measure([], 4);
    assert.notDeepEqual(
      other.scores.map(({ value }) => value),
      f16.scores.map(({ value }) => value),
    );
  });

  it('gives log-probabilities that do not depend on pages kept from the question before', async () => {
    const [{ scores }] = await measure([]);
    const engine = await EvalEngine.open('f16', await setupOf());
    try {
      const encoder = { ...engine.encoder, hasChatTemplate: engine.info.hasChatTemplate };
      const { tokenizer } = engine.encoder;
      const haystack = new Haystack(DISTRACTOR_TEXT, (text) => tokenizer.encode(text).length);
      const seed = (3 + Math.imul(450, 0x9e3779b1)) >>> 0;
      const place = { haystack, first: seed % haystack.numSentences, length: 450 };
      const [, last] = needlePrompts(needleTasks('multi-key', [0, 1], seed)[0], place, encoder);
      let logProb = 0;
      const { start, end } = last.answers[0];
      await engine.run({
        tokens: last.tokens,
        positions: Array.from({ length: end - start }, (_, i) => start - 1 + i),
        onRow: (position, row) => void (logProb += row[last.tokens[position + 1]]),
      });
      const score = scores.find(({ variant, length, depth }) => `${variant} ${length} ${depth}` === 'multi-key 450 1');
      assert.equal(score?.logProb, logProb);
    } finally {
      await engine.close();
    }
  });

  it('refuses a context without room for the needles', async () => {
    const tight = { ...options, lengths: [60] };
    await assert.rejects(measureNeedles([], tight, await setupOf(), { ...NOTHING, onResult: async () => undefined }), {
      code: 'INVALID_OPTION',
      message: /a context of 60 tokens has no room for 1 needles .*: use a larger --ctx, or fewer --depths/,
    });
  });
});

describe('needlePrompts', () => {
  it('fill the context, and mark the tokens of each value', async () => {
    const tokenizer = await prepareModel(await setupOf(), []);
    const haystack = new Haystack(DISTRACTOR_TEXT, (text) => tokenizer.encode(text).length);
    const encoder = { tokenizer, hasChatTemplate: false, chatTemplate: () => assert.fail('there is none') };
    for (const variant of NEEDLE_VARIANTS) {
      for (const task of needleTasks(variant, [0, 0.5, 1], 5)) {
        for (const prompt of needlePrompts(task, { haystack, first: 3, length: 600 }, encoder)) {
          const { tokens, numPromptTokens, maxTokens, answers } = prompt;
          assert.ok(numPromptTokens + maxTokens <= 600 && tokens.length > 300, `${numPromptTokens}, ${tokens.length}`);
          for (const { start, end, value } of answers) {
            assert.equal(tokenizer.decode(tokens.slice(start, end)).trim(), value);
          }
          assert.equal(answers[0].start, numPromptTokens);
        }
      }
    }
  });
});
