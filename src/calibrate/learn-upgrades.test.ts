import assert from 'node:assert/strict';
import { test } from 'node:test';
import { learnUpgrades, type TileLoss } from './learn-upgrades.ts';

function loss(kind: 'k' | 'v', layer: number, at2Bits: number, at4Bits: number): TileLoss {
  return { kind, layer, at2Bits, at4Bits };
}

test('every tile is widened from 1 bit to 8, in six steps', () => {
  const losses = [loss('k', 0, 0.1, 0.01), loss('v', 0, 0.02, 0.001), loss('k', 1, 0, 0), loss('v', 1, 1e-3, 2e-3)];
  const upgrades = learnUpgrades(losses);
  assert.equal(upgrades.length, 24);
  for (const { kind, layer } of losses) {
    assert.equal(upgrades.filter((upgrade) => upgrade.kind === kind && upgrade.layer === layer).length, 6);
  }
});

test('what loses most comes first, and again while it still loses more than others', () => {
  const upgrades = learnUpgrades([loss('k', 0, 1e-4, 1e-5), loss('k', 1, 1, 0.1)]);
  const first = upgrades.findIndex(({ layer }) => layer === 0);
  assert.deepEqual(
    upgrades.slice(0, first).map(({ layer }) => layer),
    new Array<number>(first).fill(1),
  );
  assert.ok(first >= 4);
});

test('no tiles, no upgrades', () => {
  assert.deepEqual(learnUpgrades([]), []);
});
