import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HandleTable } from './handles.ts';

test('a table gives back what stands behind its handles and refuses those of others', () => {
  const table = new HandleTable<object, string>('matrix');
  const handle = table.add({}, 'data');
  assert.equal(table.get(handle), 'data');
  const foreign = new HandleTable<object, string>('matrix').add({}, 'data');
  assert.throws(() => table.get(foreign), new TypeError('this matrix was not created by these kernels'));
});
