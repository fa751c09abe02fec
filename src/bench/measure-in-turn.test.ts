import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Contender } from './contender.ts';
import { measureInTurn } from './measure-in-turn.ts';

test('everybody is measured once before anybody is measured again', async () => {
  const order: string[] = [];
  const contender = (label: string): Contender => ({
    label,
    async measure({ tokens: [run] }) {
      order.push(`${label} ${run}`);
      return { prefillTps: order.length, decodeTps: undefined, numNewTokens: 1 };
    },
    async close() {},
  });
  const announced: string[] = [];
  const speeds = await measureInTurn(
    [contender('ours'), contender('peer')],
    (run) => ({ tokens: [run], numNewTokens: 1 }),
    {
      runs: 2,
      signal: new AbortController().signal,
      onMeasure: ({ label }, run) => announced.push(`${label} ${run}`),
    },
  );
  assert.deepEqual(order, ['ours 0', 'peer 0', 'ours 1', 'peer 1']);
  assert.deepEqual(announced, order);
  assert.deepEqual(
    speeds.map((runs) => runs.map(({ prefillTps }) => prefillTps)),
    [
      [1, 3],
      [2, 4],
    ],
  );
});
