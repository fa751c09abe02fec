import assert from 'node:assert/strict';
import { test } from 'node:test';
import { f16Value } from '../../quant/f16.ts';
import { randomWeights } from '../testing/weight-data.ts';
import { WEIGHT_TYPES, type WeightType } from '../weight-types.ts';
import { slotsOf } from './column-order.ts';
import { ROW_PACKERS } from './row-packers.ts';
import { packingOf } from './weight-packing.ts';

const NUM_COLS = 2048;
const NUM_GROUPS = NUM_COLS / 32;

test('there is a packer for every type of blocks', () => {
  const blocks = Object.entries(WEIGHT_TYPES).filter(([, { blockElements }]) => blockElements > 1);
  assert.deepEqual(Object.keys(ROW_PACKERS).sort(), blocks.map(([type]) => type).sort());
});

for (const type of Object.keys(ROW_PACKERS) as WeightType[]) {
  test(`${type}: what has been packed stands for the same weights`, () => {
    const { bytes, values } = randomWeights(type, 1, NUM_COLS);
    const found = unpacked(type, bytes);
    for (let col = 0; col < NUM_COLS; col++) {
      const ofGroup = values.subarray(col - (col % 32), col - (col % 32) + 32);
      // A minimum takes up what codes count from, and is rounded once more.
      const tolerance = 2 ** -21 * Math.max(...ofGroup.map(Math.abs));
      assert.ok(Math.abs(found[col] - values[col]) <= tolerance, `column ${col}: ${found[col]}, not ${values[col]}`);
    }
  });
}

/** As the shaders read it (shaders/weights.wgsl). */
function unpacked(type: WeightType, bytes: Uint8Array): Float64Array {
  const { codeKind, scaleKind, scaleBytes } = packingOf(type);
  const codes = new Uint32Array(NUM_GROUPS * (codeKind === 4 ? 4 : 8));
  const scales = new ArrayBuffer(NUM_GROUPS * scaleBytes);
  const [halves, pairs] = [new Uint16Array(scales), new Float32Array(scales)];
  const slots = slotsOf(NUM_GROUPS);
  ROW_PACKERS[type]?.(new DataView(bytes.buffer), 0, { codes, halves, pairs, slots }, 0);
  const codeBytes = new Int8Array(codes.buffer);
  return Float64Array.from({ length: NUM_COLS }, (_, col) => {
    const [place, index] = [slots[col >> 5], col % 32];
    const nibbles = codeBytes[16 * place + (index % 16)];
    const code = codeKind === 4 ? (index < 16 ? (nibbles << 28) >> 28 : nibbles >> 4) : codeBytes[32 * place + index];
    if (scaleKind === 0) return code * f16Value(halves[place]);
    const [first, second] = [pairs[2 * place], pairs[2 * place + 1]];
    return scaleKind === 1 ? code * first + second : code * (index < 16 ? first : second);
  });
}
