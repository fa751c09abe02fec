import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { formatCalibration, type CalibrationSource } from '../calibration/calibration-file.ts';
import { identitySource } from '../calibration/testing/identity-calibration.ts';
import { modelFingerprint } from '../model/fingerprint.ts';
import type { ModelFile } from '../model/model-file.ts';
import { loadCalibration, pathBeside, type TextFiles } from './load-calibration.ts';
import { openTinyModel } from './testing/tiny-engine.ts';

/** Beside `test.gguf`, which the tiny model calls itself. */
const BESIDE = 'test.kvant.json';

let model: ModelFile;
let fingerprint: string;
before(async () => {
  model = await openTinyModel();
  fingerprint = await modelFingerprint(model.file);
});

/** Files by path; it tells which ones were asked for. */
class FakeFiles implements TextFiles {
  readonly asked: string[] = [];
  readonly #texts: ReadonlyMap<string, string>;

  constructor(texts: Readonly<Record<string, string>>) {
    this.#texts = new Map(Object.entries(texts));
  }

  async readTextFile(path: string): Promise<string | undefined> {
    this.asked.push(path);
    return this.#texts.get(path);
  }
}

function textOf(changes: Partial<CalibrationSource> = {}): string {
  return formatCalibration(identitySource(model.hyperparameters, { fingerprint, ...changes }));
}

test('what lies beside the model is found by its name, and a file that is named instead of it', async () => {
  const files = new FakeFiles({ [BESIDE]: textOf(), 'other.json': textOf({ source: 'another text' }) });
  assert.equal((await loadCalibration(model, undefined, 'q4', files))?.source, 'a text');
  assert.equal((await loadCalibration(model, 'other.json', 'q4', files))?.source, 'another text');
  assert.deepEqual(files.asked, [BESIDE, 'other.json']);
});

test('every format that gains by it reads it, auto and mixes too', async () => {
  for (const kv of ['q6', 'q4', 'q1', 'k8v6', 'k16v2', 'mix2.5', 'auto']) {
    const files = new FakeFiles({ [BESIDE]: textOf() });
    assert.equal((await loadCalibration(model, undefined, kv, files))?.fingerprint, fingerprint, kv);
    assert.deepEqual(files.asked, [BESIDE], kv);
  }
});

test('none, and formats that gain nothing, read no file: not even one that is named, or of other weights', async () => {
  const files = new FakeFiles({ [BESIDE]: 'no JSON', 'other.json': 'no JSON' });
  for (const kv of ['q4', 'mix3', 'auto', 'q8']) {
    assert.equal(await loadCalibration(model, 'none', kv, files), undefined);
  }
  for (const kv of ['f16', 'q8', 'k16v8', 'k8v16']) {
    assert.equal(await loadCalibration(model, undefined, kv, files), undefined);
    assert.equal(await loadCalibration(model, 'other.json', kv, files), undefined);
  }
  assert.deepEqual(files.asked, []);
});

test('that nothing lies beside the model is fine; a named file that is missing is not', async () => {
  const files = new FakeFiles({});
  assert.equal(await loadCalibration(model, undefined, 'q4', files), undefined);
  await assert.rejects(loadCalibration(model, 'other.json', 'q4', files), {
    name: 'KvantError',
    code: 'FILE_ERROR',
    message: 'cannot read the calibration "other.json": no such file or directory',
  });
  assert.deepEqual(files.asked, [BESIDE, 'other.json']);
});

test('one of other weights is refused, named or not, and one of another shape', async () => {
  const strange = textOf({ fingerprint: `sha256:${'b'.repeat(64)}`, source: 'a text' });
  const files = new FakeFiles({ [BESIDE]: strange, 'other.json': strange });
  for (const option of [undefined, 'other.json']) {
    await assert.rejects(loadCalibration(model, option, 'q4', files), {
      name: 'KvantError',
      code: 'CALIBRATION_MISMATCH',
      message: new RegExp(
        `^the calibration \\(a text\\) was learnt from other weights, sha256:bbbbbbbb…, than this model's, ` +
          `${fingerprint.slice(0, 15)}…: .* or give calibration "none"$`,
      ),
    });
  }
  const shape = { ...identitySource(model.hyperparameters).shape, numLayers: 1 };
  const text = formatCalibration(identitySource(shape, { fingerprint }));
  await assert.rejects(loadCalibration(model, undefined, 'q4', new FakeFiles({ [BESIDE]: text })), {
    code: 'CALIBRATION_MISMATCH',
  });
});

test('a damaged one is refused by its path', async () => {
  const files = new FakeFiles({ [BESIDE]: textOf().slice(0, 200) });
  await assert.rejects(loadCalibration(model, undefined, 'q4', files), {
    code: 'CALIBRATION_INVALID',
    message: /^"test\.kvant\.json" is no calibration that can be used: it is no JSON/,
  });
});

test('what fails to be read is passed on', async () => {
  const broken = new Error('the disk is on fire');
  const files: TextFiles = { readTextFile: () => Promise.reject(broken) };
  await assert.rejects(loadCalibration(model, undefined, 'q4', files), broken);
});

test('the file beside a model has its name and another ending', () => {
  assert.equal(pathBeside('models/a.Q4_1.gguf'), 'models/a.Q4_1.kvant.json');
  assert.equal(pathBeside('A.GGUF'), 'A.kvant.json');
  assert.equal(pathBeside('model'), 'model.kvant.json');
});
