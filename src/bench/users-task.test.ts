import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomUsersTask } from './users-task.ts';

const SIZE = { numUsers: 16, numSharedTokens: 100, numOwnTokens: 64, numNewTokens: 3 };

test('a task has the sizes asked for, is the same for the same seed, and shares nothing with another', () => {
  const task = randomUsersTask(5, SIZE, 1000);
  assert.deepEqual(task, randomUsersTask(5, SIZE, 1000));
  assert.deepEqual([task.prefix.length, task.prompts.length, task.numNewTokens], [100, 16, 3]);
  const other = randomUsersTask(6, SIZE, 1000);
  const starts = [task, other]
    .flatMap(({ prefix, prompts }) => [prefix, ...prompts])
    .map((ids) => ids.slice(0, 4).join());
  assert.equal(new Set(starts).size, 34);
  for (const ids of [task.prefix, ...task.prompts]) {
    assert.ok(ids.every((id) => Number.isInteger(id) && id >= 0 && id < 1000));
  }
  assert.ok(task.prompts.every(({ length }) => length === 64));
});

test('nothing is shared where no shared tokens are asked for', () => {
  assert.deepEqual(randomUsersTask(1, { ...SIZE, numSharedTokens: 0 }, 9).prefix, []);
});
