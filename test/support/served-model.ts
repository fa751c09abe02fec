import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Model } from '../../src/index.ts';
import type { TestServer } from '../../src/server/testing/test-server.ts';

/** What tests with clients ask of the model behind a server. */

/** Requests that run in the engine, or wait in it. */
export async function numRequests(model: Model): Promise<number> {
  const { requests } = await model.stats();
  return requests.running + requests.waiting;
}

export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; !(await holds()); turn++) {
    assert.ok(turn < 1000, 'still waiting');
    await sleep(10);
  }
}

/** Answers that a server's metrics count as aborted. @param key of the server */
export async function numAborted({ url }: TestServer, key: string): Promise<number> {
  const response = await fetch(`${url}/metrics`, { headers: { 'x-api-key': key } });
  const line = /^vllm:request_success_total\{.*finished_reason="abort".*\} (\d+)$/m.exec(await response.text());
  return Number(line?.[1] ?? 0);
}
