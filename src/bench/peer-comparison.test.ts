import assert from 'node:assert/strict';
import { test } from 'node:test';
import { againstFastest, bestOf, medianOf } from './peer-comparison.ts';

test('best and median of runs', () => {
  assert.equal(bestOf([3, 9, 4]), 9);
  assert.equal(medianOf([9, 3, 4]), 4);
  assert.equal(medianOf([10, 2, 4, 3]), 3.5);
  assert.equal(bestOf([]), undefined);
  assert.equal(medianOf([]), undefined);
});

test('the fastest setting is chosen by its best run, for each phase on its own', () => {
  const ours = { prefillTps: [90, 100], decodeTps: [30, 20] };
  const peers = [
    { setting: { kv: 'F16', threads: 1 }, prefillTps: [50, 40], decodeTps: [10, 15] },
    { setting: { kv: 'F16', threads: 2 }, prefillTps: [10, 200], decodeTps: [14, 14] },
  ];
  assert.deepEqual(againstFastest('prefillTps', ours, peers), {
    setting: { kv: 'F16', threads: 2 },
    peerTps: 200,
    ratio: 0.5,
  });
  assert.deepEqual(againstFastest('decodeTps', ours, peers), {
    setting: { kv: 'F16', threads: 1 },
    peerTps: 15,
    ratio: 2,
  });
});

test('there is no ratio where either side has no rate', () => {
  const none = { prefillTps: [], decodeTps: [] };
  const some = { prefillTps: [1], decodeTps: [1] };
  const setting = { kv: 'F16', threads: 1 };
  assert.equal(againstFastest('decodeTps', none, [{ ...some, setting }]), undefined);
  assert.equal(againstFastest('decodeTps', some, [{ ...none, setting }]), undefined);
  assert.equal(againstFastest('decodeTps', some, []), undefined);
});
