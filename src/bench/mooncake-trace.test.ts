import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMooncakeTrace } from './mooncake-trace.ts';
import { spanTokens, tokensOf } from './trace.ts';

const TRACE = `{"timestamp": 0, "input_length": 1100, "output_length": 52, "hash_ids": [46, 47, 2353]}
{"timestamp": 1500, "input_length": 1024, "output_length": 3, "hash_ids": [46, 47]}

{"timestamp": 2000.5, "input_length": 513, "output_length": 0, "hash_ids": [46, 9]}
`;

test('equal hashes are equal tokens, also of blocks that are partly filled', () => {
  const requests = parseMooncakeTrace(TRACE, 'trace');
  assert.deepEqual(
    requests.map(({ timestampMs }) => timestampMs),
    [0, 1500, 2000.5],
  );
  const [first, second, third] = requests.map(({ prompt }) => tokensOf(prompt, 50_000));
  assert.deepEqual([first.length, second.length, third.length], [1100, 1024, 513]);
  assert.deepEqual(first.slice(0, 1024), second);
  assert.deepEqual(third.slice(0, 512), second.slice(0, 512));
  assert.notEqual(third[512], second[512]);
  assert.deepEqual(spanTokens({ id: 94, numTokens: 7 }, 50_000), second.slice(512, 519));
});

test('answers come nowhere else', () => {
  const requests = parseMooncakeTrace(TRACE, 'trace');
  assert.deepEqual(
    requests.map(({ output }) => output.numTokens),
    [52, 3, 0],
  );
  const ids = requests.map(({ output }) => output.id);
  const blocks = requests.flatMap(({ prompt }) => prompt.map(({ id }) => id));
  assert.equal(new Set(ids).size, 3);
  assert.ok(ids.every((id) => !blocks.includes(id)));
});

test('what is no such trace is refused with its line', () => {
  const line = '{"timestamp": 0, "input_length": 512, "output_length": 1, "hash_ids": [1]}';
  const cases: readonly (readonly [string, RegExp])[] = [
    [`${line}\nnope`, /^line 2 of "t" is not JSON: expected \{"timestamp"/],
    [`\n${line.replace('512', '513')}`, /^line 2 of "t" has 1 hash_ids for 513 tokens, which are 2 blocks of 512$/],
    [line.replace('"input_length": 512', '"input_length": 1.5'), /^line 1 of "t", input_length: .*; expected/],
    [line.replace('[1]', '["a"]'), /^line 1 of "t", hash_ids\.0: /],
    ['[]', /^line 1 of "t", all of it: /],
    ['\n \n', /^"t" holds no request: give a Mooncake trace, a JSON object a line$/],
  ];
  for (const [text, message] of cases) {
    assert.throws(() => parseMooncakeTrace(text, '"t"'), { code: 'INVALID_INPUT', message });
  }
});
