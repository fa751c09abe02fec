import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PeerProcess } from './peer-process-node.ts';
import type { PeerSetting } from './peer-protocol.ts';

const OPTIONS = {
  name: 'fake',
  driverPath: fileURLToPath(new URL('./testing/fake-peer.ts', import.meta.url)),
  modelPath: 'model.gguf',
  contextTokens: 100,
};
const TASK = { tokens: Array.from({ length: 50 }, (_, i) => i), numNewTokens: 11 };
const NEVER = new AbortController().signal;

async function withPeer(setting: PeerSetting, use: (peer: PeerProcess) => Promise<void>): Promise<void> {
  const peer = await PeerProcess.start(setting, OPTIONS, NEVER);
  try {
    await use(peer);
  } finally {
    await peer.close();
  }
}

test('a peer measures again and again, and its times become rates', async () => {
  await withPeer({ kv: 'Q8_0', threads: 1 }, async (peer) => {
    assert.equal(peer.label, 'fake Q8_0, 1 thread');
    for (let run = 0; run < 2; run++) {
      assert.deepEqual(await peer.measure(TASK, NEVER), { prefillTps: 500, decodeTps: 500, numNewTokens: 11 });
    }
    const { decodeTps } = await peer.measure({ ...TASK, numNewTokens: 1 }, NEVER);
    assert.equal(decodeTps, undefined);
  });
});

test('a peer serves many users at once', async () => {
  const setting = { kv: 'F16', threads: 2, batchTokens: 256, flashAttention: false };
  const peer = await PeerProcess.start(setting, { ...OPTIONS, maxUsers: 2 }, NEVER);
  assert.equal(peer.label, 'fake F16, 2 threads, batch 256, no flash');
  try {
    const run = await peer.measureUsers({ prefix: [1, 2, 3], prompts: [[4], [5, 6]], numNewTokens: 10 }, NEVER);
    const users = [
      { ttftMs: 5, numNewTokens: 10 },
      { ttftMs: 17, numNewTokens: 10 },
    ];
    assert.deepEqual(run, { wallMs: 26, users });
  } finally {
    await peer.close();
  }
});

test('a setting that the peer refuses is an error with its words', async () => {
  await assert.rejects(PeerProcess.start({ kv: 'BF16', threads: 2 }, OPTIONS, NEVER), {
    code: 'ENGINE_FAILED',
    message: 'fake BF16, 2 threads failed: no BF16 here',
  });
});

test('a peer that dies is an error with what it wrote, also afterwards', async () => {
  await withPeer({ kv: 'F32', threads: 2 }, async (peer) => {
    const died = { code: 'ENGINE_FAILED', message: 'fake F32, 2 threads has ended; it wrote: a fatal error' };
    await assert.rejects(peer.measure(TASK, NEVER), died);
    await assert.rejects(peer.measure(TASK, NEVER), died);
  });
});

test('a script that cannot start is an error with what Node says', async () => {
  const options = { ...OPTIONS, driverPath: 'no-such-driver.ts' };
  await assert.rejects(
    PeerProcess.start({ kv: 'F16', threads: 1 }, options, NEVER),
    /has ended; it wrote: [^]*no-such-driver/,
  );
});

test('an abort stops the waiting with its reason', async () => {
  await withPeer({ kv: 'F16', threads: 1 }, async (peer) => {
    const abort = new AbortController();
    const measured = peer.measure(TASK, abort.signal);
    const reason = new Error('enough');
    abort.abort(reason);
    await assert.rejects(measured, reason);
    await assert.rejects(peer.measure(TASK, abort.signal), reason);
  });
});
