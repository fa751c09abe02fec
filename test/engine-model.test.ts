import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Segment, Step } from '../src/kernels/kernels.ts';
import { RandomLoad, type RandomLoadOptions } from '../src/engine/testing/random-load.ts';
import { letters, NO_EVENTS, openTinyModel, request } from '../src/engine/testing/tiny-engine.ts';
import { Tokenizer } from '../src/tokens/tokenizer.ts';

const tokenizer = new Tokenizer((await openTinyModel()).tokenizerMetadata);

function randomLoad(changes: Partial<RandomLoadOptions>): RandomLoad {
  const pages = { numSealedPages: 9, numOpenPages: 3 };
  return new RandomLoad({ seed: 1, tokenizer, kv: 'q4', maxContext: 230, maxRows: 48, ...pages, ...changes });
}

const SETTINGS: Partial<RandomLoadOptions>[] = [
  { kv: 'q4' },
  { kv: 'f16' },
  { kv: 'q4', maxRows: 5 },
  { kv: 'q3', prefillChunk: 7, numSealedPages: 30, numOpenPages: 8 },
  { kv: 'q8', numSealedPages: 7, numOpenPages: 1 },
];

for (const [index, settings] of SETTINGS.entries()) {
  test(`5,000 random steps with ${JSON.stringify(settings)}: every answer is right, every page comes back`, async () => {
    const counts = await randomLoad({ seed: 100 + index, ...settings }).run(5000);
    for (const [what, count] of Object.entries(counts)) assert.ok(count > 0, `none of: ${what}`);
  });
}

/** Runs with a step changed now and then, as a mistake in the engine might. */
async function assertNoticed(expected: RegExp, change: (step: Step, load: RandomLoad) => Step): Promise<void> {
  const load = randomLoad({ seed: 7, kv: 'q4', numSealedPages: 30, numOpenPages: 5 });
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

test('the harness notices pages in the wrong order', async () => {
  await assertNoticed(WRONG_ANSWER, (step) =>
    changeLong(step, ({ sealedPages }) => ({ sealedPages: sealedPages.toReversed() })),
  );
});

test('the harness notices a page that belongs to somebody else', async () => {
  await assertNoticed(WRONG_ANSWER, (step, { memory }) =>
    changeLong(step, ({ sealedPages: [first, ...rest], sealInto }) => {
      const other = (first + 1) % memory.pools.sealed.numPages;
      return rest.includes(other) || other === sealInto ? {} : { sealedPages: [other, ...rest] };
    }),
  );
});

test('the harness notices one flipped bit in a sealed page', async () => {
  await assertNoticed(WRONG_ANSWER, (step, { kernels }) => {
    const page = step.segments.find(({ sealedPages }) => sealedPages.length > 2)?.sealedPages[1];
    if (page === undefined) return step;
    const bytes = kernels.readPage(step.pages.sealed, page);
    bytes[40] ^= 1;
    kernels.writePage(step.pages.sealed, page, bytes);
    return step;
  });
});

test('the harness notices two sequences that write to one sink page', async () => {
  await assertNoticed(/were overwritten in the same step|has other tokens/, (step) => {
    const [first] = step.segments;
    return { ...step, segments: step.segments.map((segment) => ({ ...segment, sinkPage: first.sinkPage })) };
  });
});

test('the harness notices a page that was let go too early, and one that nobody lets go', async () => {
  await assertNoticed(/sealed pages: page \d+ counts 0 owners, but 1 own it/, (step, { memory }) => {
    const [page] = step.segments[0].sealedPages;
    if (page !== undefined) memory.pools.sealed.release(page);
    return step;
  });
  await assertNoticed(/open pages: page \d+ counts 1 owners, but 0 own it/, (step, { memory }) => {
    if (memory.pools.open.numFree > 0) memory.pools.open.allocate();
    return step;
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
