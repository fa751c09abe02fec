import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createEngineRequest } from './create-request.ts';
import { SAMPLING_DEFAULTS } from './defaults.ts';
import { randomSchema } from './grammar/testing/random-schema.ts';
import { problemWith } from './grammar/testing/validate.ts';
import type { LoadedEngine } from './load-engine.ts';
import type { ResponseFormat } from './output-types.ts';
import type { EngineRequest } from './request.ts';
import { createRandom } from './speculation/testing/random.ts';
import { loadTinyWithDraft } from './speculation/testing/load-tiny-draft.ts';
import { loadTinyEngine, NO_EVENTS, request } from './testing/tiny-engine.ts';
import type { GenerateResult, TextChunk } from './types.ts';

const HOT = { temperature: 1.5, seed: 11 };
const CARD = {
  type: 'object',
  properties: {
    title: { type: 'string', maxLength: 40 },
    rank: { type: 'integer', minimum: 1, maximum: 10 },
    tags: { type: 'array', items: { enum: ['red', 'green', 'blue'] }, maxItems: 4 },
  },
  required: ['title', 'rank'],
  additionalProperties: false,
};

let loaded: LoadedEngine;

before(async () => {
  loaded = await loadTinyWithDraft('llama-d64.Q8_0', 'llama-d64.Q8_0', { maxSequences: 4 });
});

after(async () => {
  await loaded.engine.close();
  await loaded.kernels.close();
  await loaded.draftModel?.kernels.close();
});

interface Asked extends Partial<EngineRequest> {
  readonly options?: { readonly temperature?: number; readonly seed?: number; readonly presencePenalty?: number };
}

async function requestFor(responseFormat: ResponseFormat, { options, ...changes }: Asked = {}): Promise<EngineRequest> {
  const made = await createEngineRequest(
    { prompt: 'It was a', seed: 1, maxTokens: 400, responseFormat, ...options },
    loaded,
  );
  return { ...made, ...changes };
}

async function answerTo(schema: object, asked: Asked = {}): Promise<GenerateResult> {
  const made = await requestFor({ type: 'json_schema', schema }, asked);
  return loaded.engine.submit(made, NO_EVENTS).result;
}

function assertValid(schema: object, { text, finishReason }: GenerateResult): void {
  assert.equal(finishReason, 'stop', text);
  assert.equal(problemWith(schema, JSON.parse(text)), undefined, `${text} of ${JSON.stringify(schema)}`);
}

test('answers of random schemas are valid, however hot they are sampled, and end by themselves', async () => {
  const random = createRandom(5);
  const schemas = Array.from({ length: 24 }, () => randomSchema(random, 2));
  const answers = await Promise.all(
    schemas.map((schema, seed) => answerTo(schema, { maxTokens: 900, options: { ...HOT, seed } })),
  );
  answers.forEach((answer, index) => assertValid(schemas[index], answer));
});

test('a greedy answer is valid, and the same one with drafts of a text, of a model, and without', async () => {
  const answers = await Promise.all(
    (['off', 'lookup', 'draft'] as const).map((speculate) => answerTo(CARD, { speculate })),
  );
  answers.forEach((answer) => assertValid(CARD, answer));
  for (const answer of answers) assert.deepEqual(answer.tokenIds, answers[0].tokenIds);
  const hot = await Promise.all(
    (['off', 'lookup', 'draft'] as const).map((speculate) => answerTo(CARD, { speculate, options: HOT })),
  );
  for (const answer of hot) assert.deepEqual(answer.tokenIds, hot[0].tokenIds);
});

test('json_object gives one object, and text is what it is without a format', async () => {
  const options = { ...HOT, presencePenalty: 0.5 };
  const made = await requestFor({ type: 'json_object' }, { options, maxTokens: 200 });
  const { text, finishReason } = await loaded.engine.submit(made, NO_EVENTS).result;
  assert.equal(text[0], '{');
  if (finishReason === 'stop') assert.equal(typeof JSON.parse(text), 'object');
  else assert.equal(finishReason, 'length');
  const plain = await createEngineRequest({ prompt: 'It was a', seed: 1, maxTokens: 40 }, loaded);
  const asText = await requestFor({ type: 'text' }, { maxTokens: 40 });
  const [first, second] = [plain, asText].map((each) => loaded.engine.submit(each, NO_EVENTS).result);
  assert.deepEqual((await first).tokenIds, (await second).tokenIds);
});

test('maxTokens cuts an answer, and a stop string ends it before', async () => {
  const whole = await answerTo(CARD);
  const cut = await answerTo(CARD, { maxTokens: 4 });
  assert.equal(cut.finishReason, 'length');
  assert.ok(whole.text.startsWith(cut.text) && cut.text.length < whole.text.length);
  const stopped = await answerTo(CARD, { stop: ['"rank"'] });
  assert.equal(stopped.finishReason, 'stop');
  assert.equal(stopped.text, whole.text.slice(0, whole.text.indexOf('"rank"')));
});

test('a request without a format has the same logits and tokens beside others with one as alone', async () => {
  const plain = { promptTokens: [5, 9, 200, 31], maxTokens: 40, sampling: { ...SAMPLING_DEFAULTS, ...HOT } };
  const run = async (): Promise<{ tokenIds: readonly number[]; logits: readonly Float32Array[] }> => {
    const logits: Float32Array[] = [];
    const events = { ...NO_EVENTS, onLogits: (_: number, row: Float32Array) => logits.push(row.slice()) };
    const { tokenIds } = await loaded.engine.submit(request({ ...plain, reusePrefix: false }), events).result;
    return { tokenIds, logits };
  };
  const alone = await run();
  const [beside] = await Promise.all([
    run(),
    answerTo(CARD, { options: HOT }),
    answerTo(CARD, { options: { ...HOT, seed: 2 } }),
  ]);
  assert.deepEqual(beside, alone);
});

test('log-probabilities of an answer with a format are those of the model, and go with its tokens', async () => {
  const made = await requestFor({ type: 'json_schema', schema: CARD }, { topLogProbs: 2, options: HOT });
  const chunks: TextChunk[] = [];
  const result = await loaded.engine.submit(made, { ...NO_EVENTS, onChunk: (chunk) => chunks.push(chunk) }).result;
  assert.deepEqual(
    result.logProbs?.map(({ tokenId }) => tokenId),
    result.tokenIds,
  );
  // What the model would rather have said is not hidden.
  assert.ok(result.logProbs?.some(({ tokenId, top }) => top.every((each) => each.tokenId !== tokenId)));
  const bytes = chunks.flatMap(({ logProbs = [] }) => logProbs.flatMap((each) => each.bytes));
  assert.equal(new TextDecoder().decode(Uint8Array.from(bytes)), result.text);
});

test('answers stay valid and the same where their pages are taken away in between', async () => {
  const item = { type: 'integer', minimum: 1e8, maximum: 9e8 };
  const schema = { type: 'array', items: item, minItems: 32, maxItems: 32 };
  const small = await loadTinyWithDraft('llama-d64.Q8_0', 'llama-d64.Q8_0', {
    maxSequences: 3,
    ctx: 512,
    kvMemory: 360_000,
  });
  const seeds = [1, 2, 3];
  const requests = await Promise.all(
    seeds.map((seed) =>
      requestFor({ type: 'json_schema', schema }, { speculate: 'lookup', options: { temperature: 1, seed } }),
    ),
  );
  const crowded = await Promise.all(requests.map((each) => small.engine.submit(each, NO_EVENTS).result));
  assert.ok(crowded.some(({ preemptions }) => preemptions > 0));
  for (const [index, answer] of crowded.entries()) {
    const alone = await loaded.engine.submit(requests[index], NO_EVENTS).result;
    assert.deepEqual(answer.tokenIds, alone.tokenIds);
    assertValid(schema, answer);
  }
  await small.engine.close();
  await small.kernels.close();
  await small.draftModel?.kernels.close();
});

test('a schema that cannot be used is refused, and so is a vocabulary that cannot write the answer', async () => {
  await assert.rejects(requestFor({ type: 'json_schema', schema: { not: {} } }), {
    code: 'INVALID_OPTION',
    message: /keyword "not"/,
  });
  const letters = await loadTinyEngine();
  const made = await createEngineRequest({ prompt: 'a', seed: 1, responseFormat: { type: 'json_object' } }, letters);
  await assert.rejects(letters.engine.submit(made, NO_EVENTS).result, {
    code: 'MODEL_UNSUPPORTED',
    message: /^the model's vocabulary has no token with which the answer could go on in its responseFormat/,
  });
});
