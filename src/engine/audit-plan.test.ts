import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseKvFormat } from '../quant/kv-format.ts';
import { auditBytes, MAX_AUDIT_TOKENS, planAudit, type AnsweredRequest } from './audit-plan.ts';
import type { KvCache } from './kv-memory.ts';
import { letters, loadTinyEngine } from './testing/tiny-engine.ts';

/** Pages of 64 tokens after 4 sink tokens: what comes from position 68 on sees something quantized. */

async function caches(kv: string): Promise<readonly KvCache[]> {
  const { memory, formats } = await loadTinyEngine({ kv });
  return [memory.defaultCache, memory.cacheOf(await formats.get('f16'))];
}

const q4 = await caches('q4');

function requestOf(numPromptTokens: number, numTokens: number, [{ format }] = q4): AnsweredRequest {
  return { tokens: letters(numTokens), numPromptTokens, format, tenant: 'a' };
}

test('the positions after which the answer was chosen are compared, those before a sealed page left out', () => {
  const plan = planAudit(requestOf(60, 90), q4, Infinity);
  assert.equal(plan?.tokens.length, 89);
  assert.deepEqual([plan?.positions[0], plan?.positions.at(-1), plan?.positions.length], [68, 88, 21]);
  const inPages = planAudit(requestOf(100, 110), q4, Infinity);
  assert.deepEqual(inPages?.positions, [99, 100, 101, 102, 103, 104, 105, 106, 107, 108]);
});

test('of a long answer the last 64 positions are compared, of a long text what begins within its first tokens', () => {
  const plan = planAudit(requestOf(100, 400), q4, Infinity);
  assert.deepEqual([plan?.positions[0], plan?.positions.length], [335, 64]);
  const cut = planAudit(requestOf(1000, 2000), q4, Infinity);
  assert.equal(cut?.tokens.length, MAX_AUDIT_TOKENS);
  assert.deepEqual([cut?.positions[0], cut?.positions.at(-1)], [999, 1023]);
  assert.equal(planAudit(requestOf(1025, 1100), q4, Infinity), undefined);
});

test('nothing is compared where nothing was quantized', async () => {
  assert.equal(planAudit(requestOf(10, 68), q4, Infinity), undefined);
  assert.ok(planAudit(requestOf(10, 70), q4, Infinity));
  assert.equal(planAudit(requestOf(100, 100), q4, Infinity), undefined, 'no answer');
  const f16 = await caches('f16');
  assert.equal(planAudit(requestOf(100, 200, f16), f16, Infinity), undefined);
});

test('the planned bytes hold the most tokens of the planned format, and fewer of one with more bits', async () => {
  const { shape } = q4[0].sealedLayout;
  const units = auditBytes(q4[0].format, shape, 8192) / 64;
  assert.equal(planAudit(requestOf(1000, 2000), q4, units)?.tokens.length, MAX_AUDIT_TOKENS);
  assert.equal(planAudit(requestOf(1000, 2000), q4, units - 1)?.tokens.length, 1023);
  const q8 = await caches('q8');
  const numTokens = planAudit(requestOf(100, 2000, q8), q8, units)?.tokens.length ?? 0;
  assert.ok(numTokens > 700 && numTokens < MAX_AUDIT_TOKENS, `${numTokens}`);
  assert.equal(planAudit(requestOf(10, 2000), q4, 10), undefined, 'no room');
  assert.ok(auditBytes(parseKvFormat('q4', shape.headDim), shape, 100) < auditBytes(q4[0].format, shape, 8192));
});
