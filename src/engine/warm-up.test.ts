import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Step } from '../kernels/kernels.ts';
import type { EnginePlatform } from './load-engine.ts';
import { nodePlatform } from './platform-node.ts';
import { letters, loadTinyEngine, NO_EVENTS, request } from './testing/tiny-engine.ts';

/** A platform whose kernels say that they compile what is used, and that notes their steps. */
function compilingPlatform(steps: Step[]): EnginePlatform {
  const createKernels: EnginePlatform['createKernels'] = async (...args) => {
    const kernels = await nodePlatform.createKernels(...args);
    const beginStep = kernels.beginStep.bind(kernels);
    return Object.assign(kernels, {
      compilesOnUse: true,
      beginStep: (step: Step) => {
        steps.push(step);
        beginStep(step);
      },
    });
  };
  return { ...nodePlatform, createKernels };
}

test('kernels that compile what is used do a step of each kind before the first request, which leaves nothing behind', async () => {
  const steps: Step[] = [];
  const { engine, kernels } = await loadTinyEngine({}, compilingPlatform(steps));
  const rows = steps.map(({ tokenIds }) => tokenIds.length);
  assert.deepEqual(rows.slice(1), [16, 4, 3, 2, 1]);
  assert.deepEqual(
    steps.map(({ segments }) => segments[0].sealInto !== undefined),
    [true, false, false, false, false, false],
  );
  engine.checkPages();
  const { pages, memory } = await engine.stats();
  assert.deepEqual([pages.strip, memory.usedBytes], [[], 0]);
  const asked = request({ promptTokens: letters(80), maxTokens: 5 });
  const { tokenIds } = await engine.submit(asked, NO_EVENTS).result;
  const other = await loadTinyEngine();
  assert.deepEqual(tokenIds, (await other.engine.submit(asked, NO_EVENTS).result).tokenIds);
  for (const loaded of [{ engine, kernels }, other]) {
    await loaded.engine.close();
    await loaded.kernels.close();
  }
});

test('a context with no room for a page gets the steps that fit', async () => {
  const steps: Step[] = [];
  const { engine, kernels } = await loadTinyEngine({ ctx: 20 }, compilingPlatform(steps));
  assert.ok(steps.length > 0);
  for (const { segments } of steps) assert.ok(segments[0].firstPosition + segments[0].numRows <= 20);
  await engine.close();
  await kernels.close();
});
