import assert from 'node:assert/strict';
import { test } from 'node:test';
import { againstRow, settingOfRatio, speedRow, type SpeedRow } from './speed-report.ts';

function row(kv: string, threads: number, prefillTps: number, decodeTps?: number): SpeedRow {
  return speedRow({ kv, threads }, 512, [{ prefillTps, decodeTps, numNewTokens: 8 }]);
}

test('a row has the best run, the median and every run', () => {
  const speeds = [
    { prefillTps: 10, decodeTps: undefined, numNewTokens: 1 },
    { prefillTps: 30, decodeTps: 5, numNewTokens: 8 },
    { prefillTps: 20, decodeTps: 7, numNewTokens: 8 },
  ];
  assert.deepEqual(speedRow({ kv: 'q4', threads: 2 }, 512, speeds), {
    kv: 'q4',
    threads: 2,
    prompt_tokens: 512,
    prefill_tps: 30,
    decode_tps: 7,
    prefill_tps_median: 20,
    decode_tps_median: 6,
    prefill_tps_runs: [10, 30, 20],
    decode_tps_runs: [null, 5, 7],
  });
  assert.throws(() => speedRow({ kv: 'q4', threads: 2 }, 512, []), RangeError);
});

test('decode is compared with the best of all settings, prefill with the best of each type', () => {
  const peers = [row('F16', 1, 50, 40), row('F16', 2, 100, 30), row('Q4_0', 1, 5, 10), row('Q4_0', 2, 20, 80)];
  assert.deepEqual(againstRow(row('q4', 2, 200, 160), peers), {
    kv: 'q4',
    prompt_tokens: 512,
    decode: { peer_kv: 'Q4_0', peer_threads: 2, peer_tps: 80, ratio: 2 },
    prefill: [
      { peer_kv: 'F16', peer_threads: 2, peer_tps: 100, ratio: 2 },
      { peer_kv: 'Q4_0', peer_threads: 2, peer_tps: 20, ratio: 10 },
    ],
  });
});

test('what a peer did on a GPU is told apart', () => {
  const speeds = [{ prefillTps: 50, decodeTps: 40, numNewTokens: 8 }];
  const peer = speedRow({ kv: 'F16', threads: 1, gpu: true }, 512, speeds);
  const { decode } = againstRow(row('q4', 2, 200, 160), [peer]);
  assert.deepEqual(decode, { peer_kv: 'F16', peer_threads: 1, peer_gpu: true, peer_tps: 40, ratio: 4 });
  assert.deepEqual(decode && settingOfRatio(decode), { kv: 'F16', threads: 1, gpu: true });
});

test('decode that was never measured has no ratio', () => {
  assert.equal(againstRow(row('q4', 2, 200), [row('F16', 1, 50, 40)]).decode, null);
  assert.equal(againstRow(row('q4', 2, 200, 10), [row('F16', 1, 50)]).decode, null);
});
