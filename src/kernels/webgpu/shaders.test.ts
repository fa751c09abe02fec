import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readShaders } from './read-shaders-node.ts';

test('no variable of a function is without a value: Dawn 0.6 does not zero one anew that a loop declares', async () => {
  for (const [name, text] of Object.entries(await readShaders())) {
    const bare = text.split('\n').filter((line) => /^ +var \w+\s*:[^=]*;/.test(line));
    assert.deepEqual(bare, [], `${name}.wgsl`);
  }
});
