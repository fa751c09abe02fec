import assert from 'node:assert/strict';
import { test } from 'node:test';
import { f16Bits, f16Value } from '../../quant/f16.ts';
import { dequantize } from '../reference/dequantize.ts';
import { rowBytes, WEIGHT_TYPES, type WeightType } from '../weight-types.ts';
import { slotsOf } from './column-order.ts';
import { ROW_PACKERS } from './row-packers.ts';
import { packingOf } from './weight-packing.ts';

const NUM_COLS = 2048;
const NUM_GROUPS = NUM_COLS / 32;
/** Where blocks have their halves: scales and minima. */
const HALVES: Readonly<Partial<Record<WeightType, readonly number[]>>> = {
  Q4_0: [0],
  Q4_1: [0, 2],
  Q5_0: [0],
  Q5_1: [0, 2],
  Q8_0: [0],
  Q4_K: [0, 2],
  Q5_K: [0, 2],
  Q6_K: [208],
};

test('there is a packer for every type of blocks', () => {
  const blocks = Object.entries(WEIGHT_TYPES).filter(([, { blockElements }]) => blockElements > 1);
  assert.deepEqual(Object.keys(ROW_PACKERS).sort(), blocks.map(([type]) => type).sort());
});

for (const [name, halves] of Object.entries(HALVES)) {
  const type = name as WeightType;
  test(`${type}: what has been packed stands for the same weights`, () => {
    const bytes = randomRow(type, halves);
    const expected = new Float32Array(NUM_COLS);
    dequantize(type, bytes, expected);
    const found = unpacked(type, bytes);
    for (let col = 0; col < NUM_COLS; col++) {
      // A minimum takes up what codes count from, and is rounded once more.
      const tolerance =
        2 ** -21 * Math.max(1, ...expected.subarray(col - (col % 32), col - (col % 32) + 32).map(Math.abs));
      assert.ok(
        Math.abs(found[col] - expected[col]) <= tolerance,
        `column ${col}: ${found[col]}, not ${expected[col]}`,
      );
    }
  });
}

/** Random bytes, with moderate scales. */
function randomRow(type: WeightType, halves: readonly number[]): Uint8Array {
  let state = 12345;
  const random = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  const bytes = Uint8Array.from({ length: rowBytes(type, NUM_COLS) }, () => 256 * random());
  const view = new DataView(bytes.buffer);
  const { blockBytes } = WEIGHT_TYPES[type];
  for (let block = 0; block < bytes.length; block += blockBytes) {
    for (const at of halves) view.setUint16(block + at, f16Bits(random() - 0.5), true);
  }
  return bytes;
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
