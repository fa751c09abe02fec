import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseKvFormat } from '../quant/kv-format.ts';
import type { EngineIdentity } from './cache-identity.ts';
import { KvFormats } from './kv-formats.ts';
import type { KvMemory } from './kv-memory.ts';

const SHAPE = { numLayers: 1, numKvHeads: 1, headDim: 64 };
const IDENTITY: EngineIdentity = {
  ...{ modelFingerprint: 'm', tokenizer: 't', shape: SHAPE, ropeFrequencies: [1], arithmetic: 'reference float64' },
};

/** Formats, and those that were added between steps. */
function createFormats() {
  const added: [name: string, root: string][] = [];
  const memory = { addFormat: ({ name }: { name: string }, root: string) => void added.push([name, root]) };
  const defaultFormat = parseKvFormat('q4', 64);
  const formats = new KvFormats({
    ...{ defaultFormat, identity: IDENTITY, shape: SHAPE, calibrationFor: async () => undefined },
    betweenSteps: async (task) => {
      await Promise.resolve();
      task(memory as unknown as KvMemory);
    },
  });
  return { formats, added, defaultFormat };
}

test('the format of the engine is there, others are added once, between steps, each with an identity of its own', async () => {
  const { formats, added, defaultFormat } = createFormats();
  assert.equal(await formats.get('q4'), defaultFormat);
  assert.equal(added.length, 0);
  const [q8, again, f16] = await Promise.all([formats.get('q8'), formats.get('q8'), formats.get('f16')]);
  assert.equal(q8, again);
  assert.deepEqual([q8.name, f16.name], ['q8', 'f16']);
  assert.deepEqual(added.map(([name]) => name).sort(), ['f16', 'q8']);
  assert.notEqual(added[0][1], added[1][1]);
});

test('an unknown name is refused, each time that it is asked for', async () => {
  const { formats } = createFormats();
  for (let i = 0; i < 2; i++) await assert.rejects(formats.get('q9'), { code: 'INVALID_OPTION' });
});
