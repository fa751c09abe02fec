import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONVERSATION_TRACE_DEFAULTS, conversationTrace } from './conversation-trace.ts';
import { numTokensOf, type TraceRequest } from './trace.ts';

const OPTIONS = { ...CONVERSATION_TRACE_DEFAULTS, seed: 1, numConversations: 3000, maxTokens: 8192 };

/** Turns of each conversation in their order: told by the second span, the first user message. */
function conversationsOf(trace: readonly TraceRequest[]): TraceRequest[][] {
  return [...Map.groupBy(trace, ({ prompt }) => prompt[1].id).values()];
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

test('the same seed is the same trace, another one another', () => {
  const options = { ...OPTIONS, numConversations: 20 };
  assert.deepEqual(conversationTrace(options), conversationTrace(options));
  assert.notDeepEqual(conversationTrace(options), conversationTrace({ ...options, seed: 2 }));
});

test('a turn is everything said before, the answer included, and a new message', () => {
  for (const turns of conversationsOf(conversationTrace({ ...OPTIONS, numConversations: 100 }))) {
    for (const [index, { prompt, tenant, timestampMs }] of turns.slice(1).entries()) {
      const before = turns[index];
      assert.deepEqual(prompt.slice(0, -1), [...before.prompt, before.output]);
      assert.equal(tenant, before.tenant);
      assert.ok(timestampMs >= before.timestampMs);
    }
  }
});

test('all conversations of a tenant begin with its system prompt, and no two spans have one id', () => {
  const trace = conversationTrace({ ...OPTIONS, numConversations: 200 });
  const systems = new Map(trace.map(({ tenant, prompt }) => [tenant, prompt[0]]));
  assert.ok(trace.every(({ tenant, prompt }) => prompt[0] === systems.get(tenant)));
  assert.equal(new Set([...systems.values()].map(({ id }) => id)).size, systems.size);
  const own = trace.flatMap(({ prompt, output }) => [prompt.at(-1), output].map((span) => span?.id));
  assert.equal(new Set([...own, ...[...systems.values()].map(({ id }) => id)]).size, own.length + systems.size);
});

test('requests come in the order of their time, and conversations are interleaved', () => {
  const trace = conversationTrace({ ...OPTIONS, numConversations: 100 });
  const times = trace.map(({ timestampMs }) => timestampMs);
  assert.deepEqual(
    times,
    [...times].sort((a, b) => a - b),
  );
  const continued = trace.filter((request, i) => i > 0 && request.prompt[1].id === trace[i - 1].prompt[1].id).length;
  assert.ok(continued < trace.length / 10, `${continued} of ${trace.length} follow a turn of the same conversation`);
});

test('turns are geometric, lengths log-normal and tenants zipf, within 10% of what was asked for', () => {
  const trace = conversationTrace(OPTIONS);
  const conversations = conversationsOf(trace);
  const isNear = (actual: number, expected: number, what: string): void =>
    assert.ok(Math.abs(actual / expected - 1) < 0.1, `${what}: ${actual} instead of ${expected}`);
  isNear(trace.length / conversations.length, 4, 'turns');
  isNear(conversations.filter((turns) => turns.length === 1).length / conversations.length, 1 / 4, 'single turns');
  isNear(median(trace.map(({ prompt }) => prompt.at(-1)?.numTokens ?? 0)), 40, 'user tokens');
  const answers = trace.map(({ output }) => output.numTokens);
  isNear(median(answers), 150, 'answer tokens');
  isNear(
    answers.reduce((sum, length) => sum + length, 0) / answers.length,
    150 * Math.exp(0.7 ** 2 / 2),
    'mean answer',
  );
  const shares = ['tenant 0', 'tenant 1', 'tenant 3'].map(
    (tenant) => conversations.filter(([first]) => first.tenant === tenant).length / conversations.length,
  );
  const total = [1, 2, 3, 4, 5, 6, 7, 8].reduce((sum, rank) => sum + 1 / rank, 0);
  for (const [i, rank] of [1, 2, 4].entries()) isNear(shares[i], 1 / rank / total, `tenant of rank ${rank}`);
  const lastMs = Math.max(...conversations.map(([first]) => first.timestampMs));
  isNear(lastMs / conversations.length, 5000, 'gaps');
});

test('no request is longer than the context, whose first turn gets a shorter system prompt', () => {
  const trace = conversationTrace({
    ...OPTIONS,
    numConversations: 500,
    maxTokens: 3000,
    userTokens: { median: 40, sigma: 0 },
  });
  const lengths = trace.map(({ prompt, output }) => numTokensOf([...prompt, output]));
  assert.ok(lengths.every((length) => length <= 3000) && lengths.some((length) => length > 2000));
  const fixed = { median: 100, sigma: 0 };
  const options = { ...OPTIONS, systemTokens: { median: 300, sigma: 0 }, userTokens: fixed, answerTokens: fixed };
  const [first] = conversationTrace({ ...options, maxTokens: 450 });
  assert.deepEqual(
    first.prompt.map(({ numTokens }) => numTokens),
    [250, 100],
  );
  assert.throws(() => conversationTrace({ ...options, maxTokens: 200 }), /a context that is too short for one turn/);
});
