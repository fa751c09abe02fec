import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kvCheckLines } from './kv-check-lines.ts';
import { fakeCheck, fakeLayer } from './testing/fake-kv-check.ts';

test('a line where all is well, with the worst figure', () => {
  const layers = [fakeLayer(0), fakeLayer(1, { attentionKld: 0.01555 })];
  assert.deepEqual(kvCheckLines(fakeCheck({ layers }), 'q2'), [
    "--check-kv: no layer suffers in q2: attention's KL divergence is at most 0.016, the output's KL divergence to f16 is about 0.012",
  ]);
});

test('a warning for each layer that suffers, with figures, cause and what to do', () => {
  const layers = [
    fakeLayer(0),
    fakeLayer(1, { attentionKld: 0.126, suffers: ['k'], keyOutlier: 30.4, keyBias: 12 }),
    fakeLayer(2, { valueError: 0.0812, suffers: ['v'], keyOutlier: 30 }),
    fakeLayer(3, { attentionKld: Number.NaN, valueError: 0.5, suffers: ['k', 'v'] }),
  ];
  const check = fakeCheck({ layers, suggestedKv: 'k4v3' });
  assert.deepEqual(kvCheckLines(check, 'q2'), [
    "warning: layer 1 suffers in k2v2: attention's KL divergence is 0.13 (at most 0.02); its keys have an outlier channel, 30 times as wide as the median and a bias, 12 deviations of the median channel",
    'warning: layer 2 suffers in k2v2: values err by 8.1% (at most 7%)',
    "warning: layer 3 suffers in k2v2: attention's KL divergence is NaN (at most 0.02), values err by 50% (at most 7%)",
    "--check-kv: 3 of 4 layers suffer in q2, the output's KL divergence to f16 is about 0.012: use --kv k4v3, or --check-kv raise",
  ]);
});

test('where only f16 would do, or layers were raised already, raising is not advised', () => {
  const layers = [fakeLayer(0, { attentionKld: 1, kBits: 8, suffers: ['k'] })];
  const atWidest = kvCheckLines(fakeCheck({ layers, suggestedKv: 'f16' }), 'q8');
  assert.match(atWidest[1], /: use --kv f16$/);
  const afterRaise = kvCheckLines(fakeCheck({ mode: 'raise', layers, suggestedKv: 'k16v2' }), 'q8');
  assert.match(afterRaise[1], /: use --kv k16v2$/);
});

test('a line for each layer that was raised: before and after', () => {
  const before = fakeLayer(1, { attentionKld: 0.126, valueError: 0.08, suffers: ['k', 'v'], keyBias: 50.46 });
  const layers = [fakeLayer(0), fakeLayer(1, { kBits: 4, vBits: 3 })];
  const check = fakeCheck({ mode: 'raise', layers, raised: [before], bitsPerElement: 2.861 });
  assert.deepEqual(kvCheckLines(check, 'q2 (1 layer raised)'), [
    "layer 1 has k4v3 instead of k2v2: attention's KL divergence 0.01 instead of 0.13, error of values 3% instead of 8%; its keys have a bias, 50 deviations of the median channel",
    "--check-kv: 1 of 2 layers was raised: 2.86 bits an element instead of 2.36, the output's KL divergence to f16 is about 0.012",
  ]);
});

test('what was not measured, and what the text was filled up with', () => {
  assert.deepEqual(kvCheckLines(fakeCheck({ skipped: 'f16 quantizes nothing', layers: [] }), 'f16'), [
    '--check-kv has measured nothing: f16 quantizes nothing',
  ]);
  assert.match(
    kvCheckLines(fakeCheck({ numTextTokens: 60 }), 'q4')[0],
    /; 200 of 260 tokens were drawn from the vocabulary$/,
  );
});
