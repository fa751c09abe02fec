import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RandomLoad, type RandomLoadOptions } from '../src/engine/testing/random-load.ts';
import { letters, NO_EVENTS, openTinyModel, request } from '../src/engine/testing/tiny-engine.ts';
import type { Segment, Step } from '../src/kernels/kernels.ts';
import { Tokenizer } from '../src/tokens/tokenizer.ts';

/**
 * The engine against a model of it: random requests of many tenants in several formats, on arenas so small that everything which
 * may happen to pages does. `KVANT_RANDOM_STEPS` sets how many steps all settings together take,
 * `KVANT_RANDOM_SEED` which ones.
 */

const NUM_STEPS = Number(process.env['KVANT_RANDOM_STEPS'] ?? 100_000);
const SEED = Number(process.env['KVANT_RANDOM_SEED'] ?? 100);
const MAX_CONTEXT = 230;

const tokenizer = new Tokenizer((await openTinyModel()).tokenizerMetadata);

function randomLoad(changes: Partial<RandomLoadOptions>): RandomLoad {
  const plain = { seed: 1, tokenizer, kvs: ['q4'], maxContext: MAX_CONTEXT, maxRows: 48, numUnits: 300, numTenants: 3 };
  return new RandomLoad({ ...plain, sharing: { maxSequences: 6 }, ...changes });
}

/** A sequence of 230 tokens takes from 80 units in q1 to 256 in f16; it starts with 36, 32 of them its open page. */
const SETTINGS: Partial<RandomLoadOptions>[] = [
  { kvs: ['q4'], numUnits: 300, sharing: { maxSequences: 8 } },
  { kvs: ['f16'], numUnits: 450, numTenants: 1, swapBytes: 1e6 },
  { kvs: ['q4', 'q8', 'f16', 'q2'], numUnits: 420, swapBytes: 5e5, sharing: { maxSequences: 10, policy: 'priority' } },
  { kvs: ['q8', 'k6v3', 'q1'], numUnits: 310, maxRows: 8, sharing: { maxSequences: 8, maxPrefillRows: 3 } },
  {
    ...{ kvs: ['q3', 'q8', 'f16'], numUnits: 600, swapBytes: 3e4, numTenants: 5 },
    sharing: { maxSequences: 12, prefillChunk: 7, tenantQuotaUnits: 270, policy: 'priority' },
  },
  { kvs: ['q5', 'f16'], numUnits: 500, numTenants: 2, sharing: { maxSequences: 5, tenantQuotaUnits: 260 } },
  { kvs: ['q6', 'q2'], numUnits: 130, maxRows: 5, sharing: { maxSequences: 3 } },
];

describe(`${NUM_STEPS} random steps: every answer is right, every page comes back`, () => {
  const totals = new Map<string, number>();
  const numSteps = Math.ceil(NUM_STEPS / SETTINGS.length);
  for (const [index, settings] of SETTINGS.entries()) {
    test(JSON.stringify(settings), async (t) => {
      const counts = await randomLoad({ seed: SEED + index, ...settings }).run(numSteps);
      t.diagnostic(JSON.stringify(counts));
      for (const [what, count] of Object.entries<number>({ ...counts }))
        totals.set(what, (totals.get(what) ?? 0) + count);
    });
  }

  test('everything that may happen has happened', (t) => {
    t.diagnostic(JSON.stringify(Object.fromEntries(totals)));
    for (const [what, count] of totals) assert.ok(count > 0, `none of: ${what}`);
  });
});

/** Runs with a step changed now and then, as a mistake in the engine might. */
async function assertNoticed(expected: RegExp, change: (step: Step, load: RandomLoad) => Step): Promise<void> {
  const load = randomLoad({ seed: 7, numUnits: 600, sharing: { maxSequences: 5 } });
  const { onStep } = load.kernels;
  load.kernels.onStep = async (step) => change(await onStep(step), load);
  await assert.rejects(load.run(2000), expected);
}

/** Changes the segments of a step that have at least two sealed pages. */
function changeLong(step: Step, change: (segment: Segment) => Partial<Segment>): Step {
  const segments = step.segments.map((segment) =>
    segment.sealedPages.length < 2 ? segment : { ...segment, ...change(segment) },
  );
  return { ...step, segments };
}

const WRONG_ANSWER = /has other tokens|log-probabilities of position|are not numbers|text/;

describe('the harness notices', () => {
  test('pages in the wrong order', async () => {
    await assertNoticed(WRONG_ANSWER, (step) =>
      changeLong(step, ({ sealedPages }) => ({ sealedPages: sealedPages.toReversed() })),
    );
  });

  test('a page that lies beside the right one', async () => {
    await assertNoticed(/has other tokens|log-probabilities|are not numbers|text|overlaps/, (step) =>
      changeLong(step, ({ sealedPages: [first, ...rest] }) => ({ sealedPages: [Math.max(0, first - 1), ...rest] })),
    );
  });

  test('one flipped bit in a sealed page', async () => {
    await assertNoticed(WRONG_ANSWER, (step, { kernels }) => {
      const segment = step.segments.find(({ sealedPages }) => sealedPages.length > 2);
      if (!segment) return step;
      const bytes = kernels.readPage(segment.pages.sealed, segment.sealedPages[1]);
      bytes[40] ^= 1;
      kernels.writePage(segment.pages.sealed, segment.sealedPages[1], bytes);
      return step;
    });
  });

  test('two sequences that write to one sink page', async () => {
    await assertNoticed(/overlaps one that ends at/, (step) => {
      const [first] = step.segments;
      return { ...step, segments: step.segments.map((segment) => ({ ...segment, sinkPage: first.sinkPage })) };
    });
  });

  test('a page that is sealed over one that another sequence reads', async () => {
    await assertNoticed(/overlaps one that ends at/, (step) => {
      const read = step.segments.find(({ sealedPages }) => sealedPages.length > 0)?.sealedPages[0];
      const segments = step.segments.map((segment) =>
        read === undefined || segment.sealInto === undefined || segment.sealedPages.includes(read)
          ? segment
          : { ...segment, sealInto: read },
      );
      return { ...step, segments };
    });
  });

  test('a page that moves during a step, and a format that comes during one', async () => {
    await assertNoticed(/a step has begun: units are copied between steps/, (step, { kernels, memory }) => {
      kernels.copyUnits(memory.defaultCache.pages.sealed.arena!, 0, 0, 1);
      return step;
    });
    await assertNoticed(/a step has begun: a format is added between steps/, (step, { kernels }) => {
      kernels.addFormat({ ...kernels.config.format });
      return step;
    });
  });

  test('a page that was let go too early, and one that nobody lets go', async () => {
    await assertNoticed(/pages: .* page \d+, which nobody owns|counts \d owners, but \d own it/, (step, { memory }) => {
      const [page] = memory.tree.ownedPages();
      if (page !== undefined) memory.pool.release(page);
      return step;
    });
    await assertNoticed(/pages: page \d+ counts 1 owners, but 0 own it/, (step, { memory }) => {
      if (memory.pool.numFreeUnits > 0) memory.pool.allocate(1);
      return step;
    });
  });

  test('a tenant that is given the pages of another one', async () => {
    const load = randomLoad({ seed: 7, numUnits: 900, numTenants: 3 });
    const { submit } = load.engine;
    load.engine.submit = (asked, events) => submit.call(load.engine, { ...asked, tenant: 'everybody' }, events);
    await assert.rejects(load.run(3000), /nobody may share \d+ tokens/);
  });
});

test('a step that fails fails all requests that are under way, and those that come later', async () => {
  const load = randomLoad({ seed: 9 });
  let numSteps = 0;
  load.kernels.onStep = async (step) => {
    await Promise.resolve();
    if (++numSteps === 3) throw new Error('no power');
    return step;
  };
  const submit = (): Promise<unknown> =>
    load.engine.submit(request({ promptTokens: letters(200), maxTokens: 9 }), NO_EVENTS).result;
  const results = await Promise.allSettled([submit(), submit(), submit(), submit()]);
  for (const result of results) {
    assert.equal(result.status, 'rejected');
    assert.match(String(result.reason), /the engine failed: no power; load the model again/);
  }
  assert.throws(submit, { code: 'ENGINE_FAILED' });
});
