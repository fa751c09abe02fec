import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TileBits } from '../quant/kv-format.ts';
import { chooseFormat, lossOf } from './choose-format.ts';
import { fits } from './memory-plan.ts';
import { machineLimit, memoryDemand, WASM_LIMIT } from './testing/memory-demand.ts';

const DEMAND = memoryDemand('f16', 8192);

test('auto takes q8 where there is room, never f16, and goes down as memory demands', () => {
  const at = (bytes: number) => chooseFormat(DEMAND, [WASM_LIMIT, machineLimit(bytes)]);
  const { format, reason } = at(2e9);
  assert.equal(format.name, 'q8');
  assert.match(reason, /^the finest, and it needs 3\d\d MB of 2\.00 GB \(this machine\)$/);
  assert.equal(at(340e6).format.name, 'k8v4');
  const small = at(312e6);
  assert.equal(small.format.name, 'q4');
  assert.match(
    small.reason,
    /^the finest that fits: it needs 3\d\d MB of 312 MB \(this machine\); k8v4 would need 3\d\d MB of 312 MB \(this machine\)$/,
  );
  for (const { format, fits: isSaidToFit } of [at(2e9), at(340e6), small]) {
    assert.ok(isSaidToFit && fits({ ...DEMAND, format }, [machineLimit(2e9)]));
  }
});

test('where nothing fits it is the smallest, which is said not to', () => {
  const choice = chooseFormat(DEMAND, [machineLimit(1e8)]);
  assert.deepEqual([choice.format.name, choice.fits, choice.reason], ['q4', false, 'no format fits']);
});

test('the reason names what the process may take, and what a finer format breaks', () => {
  const addresses = { ...WASM_LIMIT, bytes: 215e6 };
  const { format, reason } = chooseFormat(DEMAND, [addresses, machineLimit(1e12), machineLimit(1e11)]);
  assert.equal(format.name, 'k8v4');
  assert.match(
    reason,
    /it needs 3\d\d MB of 100\.00 GB \(this machine\); q8 would need 2\d\d MB of 215 MB \(the address/,
  );
});

test('a format below the default is chosen with a word on what it costs', () => {
  const { format } = memoryDemand('q4', 100);
  assert.equal(lossOf(format, DEMAND), '');
  const bits = 3 as TileBits;
  const coarser = { ...format, v: { ...format.v, bits } };
  assert.equal(lossOf(coarser, DEMAND), '; answers lose accuracy below q4, the default');
});
