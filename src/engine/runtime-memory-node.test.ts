import assert from 'node:assert/strict';
import { test } from 'node:test';
import { calibrationBytes } from './heap-memory.ts';
import { idleRuntimeBytes, runtimeBytes } from './runtime-memory-node.ts';

const DEMAND = { backend: 'wasm', numThreads: 1, vocabularySize: 0, tokenizerModel: 'gpt2' } as const;

test('a process takes more with every thread and with a larger vocabulary; the reference backend has no threads', () => {
  const idle = idleRuntimeBytes();
  assert.ok(idle > 90e6 && idle < 180e6, `${idle}`);
  const one = runtimeBytes(DEMAND);
  assert.ok(one - idle < 1000);
  const thread = runtimeBytes({ ...DEMAND, numThreads: 2 }) - one;
  assert.ok(thread > 5e6 && thread < 30e6, `${thread}`);
  assert.equal(runtimeBytes({ ...DEMAND, numThreads: 9 }) - one, 8 * thread);
  assert.equal(runtimeBytes({ ...DEMAND, numThreads: 9, backend: 'reference' }), one);
});

test('a calibration takes what reads it, and more the larger it is', () => {
  assert.ok(calibrationBytes(0) > 5e6 && calibrationBytes(0) < 15e6);
  const megabyte = calibrationBytes(1e6) - calibrationBytes(0);
  assert.ok(megabyte > 1e6 && megabyte < 5e6, `${megabyte}`);
});

test('hash tables of a vocabulary double: 32,769 tokens take as many places as 65,536', () => {
  const bytes = (vocabularySize: number, tokenizerModel = 'gpt2') => {
    return runtimeBytes({ ...DEMAND, vocabularySize, tokenizerModel }) - idleRuntimeBytes();
  };
  assert.equal(bytes(32_769), bytes(65_536));
  assert.equal(bytes(65_537), 2 * bytes(65_536));
  assert.ok(bytes(32_000, 'llama') < bytes(32_000));
});
