import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SAMPLING_DEFAULTS } from './defaults.ts';
import { logSoftmax } from './log-softmax.ts';
import type { EngineRequest } from './request.ts';
import { END_ID, LETTER_A_ID, loadTinyEngine, NO_EVENTS, request } from './testing/tiny-engine.ts';
import { AnswerLogProbs, tokenLogProb } from './token-log-probs.ts';
import type { GenerateResult, TextChunk } from './types.ts';

const BYTES = { tokenBytes: (id: number) => Uint8Array.of(0xc3, 0xa4).subarray(id === 1 ? 1 : 0) };
const WARM = { ...SAMPLING_DEFAULTS, temperature: 1, seed: 3 };

test('a token is told with its bytes, its log-probability and the likeliest of its place, the lower id first', () => {
  const logits = Float32Array.of(1, 3, 3, -Infinity);
  const { tokenId, bytes, text, logProb, top } = tokenLogProb(logits, 0, 2, BYTES);
  const sum = Math.log(Math.exp(1) + 2 * Math.exp(3));
  assert.deepEqual([tokenId, bytes, text], [0, [0xc3, 0xa4], 'ä']);
  assert.ok(Math.abs(logProb - (1 - sum)) < 1e-12);
  assert.deepEqual(
    top.map((each) => each.tokenId),
    [1, 2],
  );
  assert.equal(top[0].text, '\ufffd');
  assert.ok(Math.abs(top[0].logProb - (3 - sum)) < 1e-12);
  assert.deepEqual(tokenLogProb(logits, 0, 0, BYTES).top, []);
  assert.equal(tokenLogProb(logits, 0, 20, BYTES).top.length, 4);
});

test('chunks take as many as they have tokens, also where tokens wait for their text', () => {
  const answer = new AnswerLogProbs();
  const logProbs = [4, 5, 6].map((id) => tokenLogProb(new Float32Array(8), id, 0, BYTES));
  answer.push(logProbs[0]);
  assert.deepEqual(answer.addTo({ text: 'x', tokenIds: [] }).logProbs, []);
  answer.push(logProbs[1]);
  assert.deepEqual(answer.addTo({ text: 'y', tokenIds: [4, 5] }).logProbs, logProbs.slice(0, 2));
  answer.push(logProbs[2]);
  assert.deepEqual(answer.addTo({ text: 'z', tokenIds: [6] }).logProbs, logProbs.slice(2));
});

interface Answer {
  readonly result: GenerateResult;
  readonly chunks: readonly TextChunk[];
  readonly logits: readonly Float32Array[];
}

async function answerTo(changes: Partial<EngineRequest>): Promise<Answer> {
  const { engine } = await loadTinyEngine();
  const chunks: TextChunk[] = [];
  const logits: Float32Array[] = [];
  const events = {
    ...NO_EVENTS,
    onChunk: (chunk: TextChunk) => chunks.push(chunk),
    onLogits: (_: number, row: Float32Array) => logits.push(row.slice()),
  };
  const result = await engine.submit(request({ maxTokens: 60, ...changes }), events).result;
  await engine.close();
  return { result, chunks, logits };
}

for (const [name, changes] of [
  ['greedy, with drafts', { ignoreEnd: true, speculate: 'lookup' }],
  ['sampled, until the model ends', { sampling: WARM }],
  [
    'with a bias, penalties and a stop string that holds text back',
    {
      sampling: { ...WARM, logitBias: { [LETTER_A_ID]: 3, [END_ID]: -100 }, frequencyPenalty: 1 },
      stop: ['abcabc', 'zq'],
    },
  ],
] as const) {
  test(`log-probabilities are those of the raw logits and go with the tokens of each chunk: ${name}`, async () => {
    const { result, chunks, logits } = await answerTo({ ...changes, topLogProbs: 3 });
    const logProbs = result.logProbs ?? [];
    assert.deepEqual(
      logProbs.map(({ tokenId }) => tokenId),
      result.tokenIds,
    );
    for (const [i, { tokenId, logProb, top }] of logProbs.entries()) {
      const expected = logSoftmax(logits[i]);
      assert.equal(Math.fround(logProb), expected[tokenId]);
      const likeliest = [...expected.keys()].sort((a, b) => logits[i][b] - logits[i][a] || a - b).slice(0, 3);
      assert.deepEqual(
        top.map((each) => each.tokenId),
        likeliest,
      );
    }
    for (const { tokenIds, logProbs: ofChunk = [] } of chunks) {
      assert.deepEqual(
        ofChunk.map(({ tokenId }) => tokenId),
        tokenIds,
      );
    }
    const given = chunks.flatMap((chunk) => chunk.logProbs ?? []);
    assert.deepEqual(given, logProbs.slice(0, given.length));
    assert.ok(given.length >= logProbs.length - 1);
  });
}

test('nobody who does not ask gets any, and asking changes no token', async () => {
  const plain = await answerTo({ sampling: WARM });
  assert.equal(plain.result.logProbs, undefined);
  assert.ok(plain.chunks.every((chunk) => !('logProbs' in chunk)));
  const asked = await answerTo({ sampling: WARM, topLogProbs: 20 });
  assert.deepEqual(asked.result.tokenIds, plain.result.tokenIds);
});

test('a bias can ban a token and force another, and one outside the vocabulary is refused', async () => {
  const forced = await answerTo({ maxTokens: 5, sampling: { ...WARM, logitBias: { [LETTER_A_ID]: 100 } } });
  assert.deepEqual(forced.result.tokenIds, new Array(5).fill(LETTER_A_ID));
  await assert.rejects(answerTo({ sampling: { ...WARM, logitBias: { 1000: 1 } } }), {
    code: 'INVALID_OPTION',
    message: /^option "logitBias" must have token ids of the model's vocabulary, 0 to \d+; got 1000$/,
  });
});

test('a frequency penalty gives the same answer with drafts and without', async () => {
  const sampling = { ...SAMPLING_DEFAULTS, seed: 1, frequencyPenalty: 0.3, presencePenalty: 0.2 };
  const [off, lookup] = await Promise.all(
    (['off', 'lookup'] as const).map((speculate) => answerTo({ sampling, speculate, ignoreEnd: true })),
  );
  assert.deepEqual(lookup.result.tokenIds, off.result.tokenIds);
  assert.notDeepEqual(off.result.tokenIds, (await answerTo({ ignoreEnd: true })).result.tokenIds);
});
