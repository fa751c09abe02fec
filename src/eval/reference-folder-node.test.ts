import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { openReferenceFolder } from './reference-folder-node.ts';

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'kvant-reference-'))));
afterEach(() => rm(folder, { recursive: true }));

async function writeFiles(
  files: Readonly<Record<string, Uint8Array | Uint16Array | Uint32Array | Float32Array>>,
): Promise<void> {
  for (const [name, numbers] of Object.entries(files)) await writeFile(join(folder, name), numbers);
}

const places = { 'tokens.u16': Uint16Array.of(5, 6, 65_535), 'full_positions.u32': Uint32Array.of(1, 70_000) };

describe('openReferenceFolder', () => {
  it('reads plain rows of float32', async () => {
    await writeFiles({ ...places, 'full_logprobs.f32': Float32Array.of(-1, -2, -3, -4, -5, -Infinity) });
    const reference = await openReferenceFolder(folder);
    assert.deepEqual(reference.tokens, [5, 6, 65_535]);
    assert.deepEqual(reference.positions, [1, 70_000]);
    assert.equal(reference.vocabularySize, 3);
    assert.deepEqual(reference.logProbs(70_000), Float64Array.of(-4, -5, -Infinity));
  });

  it('reads codes with a scale and a minimum for each row', async () => {
    await writeFiles({
      ...places,
      'full_logprobs.u16': Uint16Array.of(0, 65_535, 1, 2),
      'full_scale_min.f32': Float32Array.of(0.5, -20, 0.25, -8),
    });
    const reference = await openReferenceFolder(folder);
    assert.deepEqual(reference.logProbs(1), Float64Array.of(-20, 32_747.5));
    assert.deepEqual(reference.logProbs(70_000), Float64Array.of(-7.75, -7.5));
    assert.throws(() => reference.logProbs(2), { name: 'RangeError', message: /has no distribution at position 2/ });
  });

  it('refuses what is missing, cut off, or of sizes that do not fit', async () => {
    await assert.rejects(openReferenceFolder(folder), { code: 'FILE_ERROR', message: /lacks "tokens.u16"/ });
    await writeFiles(places);
    await assert.rejects(openReferenceFolder(folder), { code: 'FILE_ERROR', message: /lacks "full_logprobs.u16"/ });
    await writeFiles({ 'full_logprobs.u16': new Uint16Array(4), 'full_scale_min.f32': new Float32Array(3) });
    await assert.rejects(openReferenceFolder(folder), /holds 3 numbers, expected 2 for each of 2 positions/);
    await writeFiles({ 'full_logprobs.f32': new Float32Array(5) });
    await assert.rejects(
      openReferenceFolder(folder),
      /holds 5 log-probabilities for 2 positions: no whole number each/,
    );
    await writeFiles({ 'full_logprobs.f32': new Uint8Array(6) });
    await assert.rejects(openReferenceFolder(folder), /has 6 bytes, no multiple of 4: it is cut off/);
  });
});
