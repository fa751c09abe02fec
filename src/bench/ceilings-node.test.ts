import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileWasmModule } from '../kernels/wasm/wasm-module-node.ts';
import { measureCeilings } from './ceilings-node.ts';

test('the ceilings are rates that a computer can have', async () => {
  const { module } = await compileWasmModule();
  const { macsPerSecond, bytesPerSecond } = await measureCeilings(module, 2);
  // Slower than any CPU with SIMD, and faster than two cores of any.
  assert.ok(macsPerSecond > 1e8 && macsPerSecond < 1e13, `${macsPerSecond} multiplications a second`);
  assert.ok(bytesPerSecond > 1e7 && bytesPerSecond < 1e12, `${bytesPerSecond} bytes a second`);
});
