import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KvpIdentity } from './kvp-header.ts';
import { checkKvpMatch } from './match.ts';
import { randomSession } from './testing/random-session.ts';

const { header } = randomSession();

test('a file fits the engine that wrote it, and any of the same name of another model', () => {
  checkKvpMatch('a.kvp', header, header);
  checkKvpMatch('a.kvp', header, { ...header, modelName: 'copy' });
});

const CASES: readonly (readonly [Partial<KvpIdentity>, RegExp])[] = [
  [
    { modelFingerprint: `sha256:${'c'.repeat(64)}`, modelName: 'Other', identity: 'd'.repeat(64) },
    /^the session file "a.kvp" is of the model "Random Model" \(sha256:bbbbbbbb…\), and "Other" \(sha256:cccccccc…\) is loaded: load its model with option "model", or use another file$/,
  ],
  [
    { kvFormat: 'q8', sealedPageBytes: 256, identity: 'd'.repeat(64) },
    /has a cache in the format "q4", not "q8": set option "kv" to "q4", or use another file$/,
  ],
  [{ layoutVersion: 2 }, /has pages in version 1 of the page format, not 2: use the Kvant that wrote it/],
  [{ pageSize: 64 }, /same weights and format, but differs in pageSize \(4, not 64\): load the model as it was then/],
  [{ sinkPageBytes: 128 }, /differs in sinkPageBytes \(64, not 128\)/],
  [{ identity: 'd'.repeat(64) }, /same weights and format, but differs in identity: .*calibration, tokenizer, backend/],
];
for (const [changes, message] of CASES) {
  test(`refuses another ${Object.keys(changes)[0]}, and says what to do`, () => {
    const engine = { ...header, ...changes };
    assert.throws(() => checkKvpMatch('a.kvp', header, engine), { code: 'SESSION_MISMATCH', message });
  });
}
