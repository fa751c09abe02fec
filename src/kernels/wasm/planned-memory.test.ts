import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HeadTransforms } from '../../quant/head-transform.ts';
import { parseKvFormat, type KvFormat } from '../../quant/kv-format.ts';
import type { KernelsConfig } from '../kernels.ts';
import { WEIGHT_TYPES, type WeightType } from '../weight-types.ts';
import { calibratedFormat } from '../testing/calibrated-format.ts';
import { STRIP_ROWS } from './assembly/commands.ts';
import { createWasmKernels } from './create-wasm-kernels-node.ts';
import { addedFormatBytes, operandRowBytes, packedMatrixBytes, wasmScratchBytes } from './planned-memory.ts';
import { SharedMemory } from './shared-memory.ts';
import { compileWasmModule } from './wasm-module-node.ts';
import { instantiate } from './wasm-module.ts';

test('packed matrices and operands take exactly what the kernels state', async () => {
  const { module } = await compileWasmModule('SIMD');
  const exports = instantiate(module, new SharedMemory().memory);
  for (const [type, { id }] of Object.entries(WEIGHT_TYPES)) {
    for (const [numRows, numCols] of [
      [1, 256],
      [16, 512],
      [1000, 1792],
    ]) {
      const strips = Math.ceil(numRows / STRIP_ROWS);
      const planned = packedMatrixBytes(type as WeightType, numRows, numCols);
      assert.equal(planned, strips * exports.stripBytes(id, numCols), `${type} ${numRows} x ${numCols}`);
    }
  }
  for (const width of [32, 64, 576, 14_336]) {
    assert.equal(operandRowBytes(width), 4 * width + exports.quantizedRowBytes(width));
  }
  assert.equal(operandRowBytes(48), 4 * 48);
});

test('scratch takes what was planned, within 2%, but for what reading weights takes', async () => {
  const base: KernelsConfig = {
    shape: { numLayers: 2, numKvHeads: 3, headDim: 64 },
    numHeads: 9,
    format: parseKvFormat('q4', 64),
    ropeFrequencies: Array.from({ length: 32 }, () => 1),
    maxRows: 68,
    maxContext: 8192,
    numThreads: 2,
  };
  const STAGING_BYTES = 1_000_000;
  const changes: Partial<KernelsConfig>[] = [
    {},
    { maxRows: 256, numThreads: 4 },
    { maxContext: 131_072 },
    { maxContext: 1, maxRows: 1, numThreads: 1 },
    { format: parseKvFormat('f16', 64), numHeads: 3 },
  ];
  for (const change of changes) {
    const config = { ...base, ...change };
    const kernels = await createWasmKernels(config);
    const { scratchBytes } = kernels.memoryUsage();
    await kernels.close();
    const { reserved, resident } = wasmScratchBytes(config, 1);
    const error = (reserved - STAGING_BYTES - scratchBytes) / scratchBytes;
    assert.ok(Math.abs(error) < 0.02, `${JSON.stringify(change)}: ${reserved} planned, ${scratchBytes} taken`);
    assert.ok(resident <= reserved);
    // Drafts take parts of attention, as far as those are reserved.
    const withDrafts = wasmScratchBytes(config, 1, 16).resident;
    assert.ok(withDrafts > resident);
    assert.equal(withDrafts, wasmScratchBytes(config, 17).resident - 16 * pageListBytes(config));
  }
});

test('formats that are added take exactly what was planned, and matrices that they share are there once', async () => {
  const shape = { numLayers: 2, numKvHeads: 3, headDim: 64 };
  const q4 = parseKvFormat('q4', 64);
  const calibrated = calibratedFormat(q4, shape);
  const { transforms } = calibrated.k;
  assert.ok(transforms);
  const views: HeadTransforms = {
    ...transforms,
    forward: transforms.forward.subarray(0),
    inverse: transforms.inverse.slice(),
  };
  const rest = { numHeads: 9, ropeFrequencies: [1], maxRows: 8, maxContext: 512, numThreads: 1 };
  const kernels = await createWasmKernels({ shape, format: q4, ...rest });
  const added: KvFormat[] = [q4];
  const sizes: number[] = [];
  for (const format of [
    parseKvFormat('f16', 64),
    calibrated,
    { ...calibrated, k: parseKvFormat('q8', 64).k },
    { ...calibrated, k: { ...calibrated.k, transforms: views } },
    q4,
    calibratedFormat(q4, shape),
  ]) {
    const planned = addedFormatBytes(format, shape, added);
    const before = kernels.memoryUsage().scratchBytes;
    kernels.addFormat(format);
    assert.equal(kernels.memoryUsage().scratchBytes - before, planned, format.name);
    added.push(format);
    sizes.push(planned);
  }
  await kernels.close();
  const [block, matrices] = [64 + 2 * 64, 4 * 6 * 64 ** 2];
  // K's forward and inverse, V's inverse by columns, feedback; then only inverses that were copied.
  assert.deepEqual(sizes, [block, block + 4 * matrices, block, block + matrices, 0, block + 4 * matrices]);
});

/** Of a sequence. */
function pageListBytes({ maxContext, format }: KernelsConfig): number {
  return 4 * Math.ceil(maxContext / format.pageSize);
}
