import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Lets the event loop turn until the condition holds. @param describe what to show when it never does */
export async function until(condition: () => boolean, describe: () => string = () => ''): Promise<void> {
  for (let turn = 0; !condition(); turn++) {
    assert.ok(turn < 10_000, `still waiting; ${describe()}`);
    await nextTurn();
  }
}
