import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolveSampling } from './defaults.ts';
import { parseChatSendOptions, parseGenerateOptions, parseLoadOptions, parsePlanOptions } from './options.ts';

function refused(run: () => unknown, message: RegExp): void {
  assert.throws(run, { name: 'KvantError', code: 'INVALID_OPTION', message });
}

test('options that are allowed come back as they are, and undefined counts as absent', () => {
  const onProgress = () => undefined;
  const options = { model: 'a.gguf', kv: 'k8v4', ctx: 1, threads: 1, backend: 'wasm', checkKv: 'raise', onProgress };
  assert.deepEqual(parseLoadOptions(options), options);
  assert.deepEqual(parseLoadOptions({ ctx: undefined }), {});
  assert.deepEqual(parseLoadOptions({ kv: 'auto', memory: '1.5GiB' }), { kv: 'auto', memory: 1.5 * 2 ** 30 });
  assert.deepEqual(parsePlanOptions({ kv: ['q8', 'k8v4'], memory: 2e9 }), { kv: ['q8', 'k8v4'], memory: 2e9 });
  for (const kv of ['q6', 'q5', 'q3', 'q2', 'q1', 'k6v1', 'mix2', 'mix2.5']) {
    assert.deepEqual(parseLoadOptions({ kv, calibration: 'a.json' }), { kv, calibration: 'a.json' });
    assert.deepEqual(parsePlanOptions({ kv: [kv], calibration: 'none' }), { kv: [kv], calibration: 'none' });
  }
  assert.deepEqual(parseLoadOptions({ calibration: undefined }), {});
  const generate = {
    prompt: '',
    temperature: 0,
    topP: 1,
    minP: 0,
    topK: 0,
    seed: 0xffffffff,
    stop: ['a'],
    maxTokens: 0,
  };
  assert.deepEqual(parseGenerateOptions(generate), generate);
  assert.deepEqual(parseChatSendOptions({ signal: AbortSignal.abort() }).signal?.aborted, true);
});

test('a value out of range is refused with the name of the option, its range and the value', () => {
  refused(() => parseLoadOptions({ threads: 0 }), /^option "threads" must be a whole number from 1 to 256; got 0$/);
  refused(() => parseLoadOptions({ threads: 1.5 }), /threads.*got 1\.5/);
  refused(() => parseLoadOptions({ threads: '2' }), /threads.*got "2"/);
  refused(() => parseLoadOptions({ ctx: 0 }), /^option "ctx" must be a whole number of at least 1; got 0$/);
  refused(
    () => parseLoadOptions({ auditEvery: 0 }),
    /^option "auditEvery" must be a whole number of at least 1; got 0$/,
  );
  refused(() => parseLoadOptions({ ctx: NaN }), /ctx.*got NaN/);
  refused(
    () => parseLoadOptions({ memory: '2' }),
    /^option "memory" must be bytes, or a size such as 2GB, 1\.5GiB or 800MB; got "2"$/,
  );
  refused(() => parseLoadOptions({ memory: 0.5 }), /^option "memory" must be bytes, or a size.*; got 0\.5$/);
  refused(() => parseLoadOptions({ memory: 0 }), /memory.*got 0$/);
  refused(() => parsePlanOptions({ kv: 'q4' }), /^option "kv" must be a list of formats; got "q4"$/);
  refused(() => parsePlanOptions({ kv: ['q4', 'auto'] }), /^option "kv\[1\]" must be f16.*; got "auto"$/);
  refused(() => parsePlanOptions({ kv: [] }), /^option "kv" must name at least one format/);
  refused(() => parsePlanOptions({ signal: 1 }), /^unknown option "signal"/);
  refused(
    () => parseLoadOptions({ kv: 'q7' }),
    /^option "kv" must be f16, q8, q6, q5, q4, q3, q2, q1, or kAvB .* mixN, .*, or auto; got "q7"$/,
  );
  refused(() => parseLoadOptions({ kv: 'mix' }), /^option "kv" must be f16.*; got "mix"$/);
  for (const parseOptions of [parseLoadOptions, parsePlanOptions]) {
    const rule = /^option "calibration" must be the path of a calibration file, or none; got /;
    refused(() => parseOptions({ calibration: '' }), rule);
    refused(() => parseOptions({ calibration: false }), rule);
  }
  refused(
    () => parseLoadOptions({ backend: 'cuda' }),
    /^option "backend" must be auto, wasm, wasm-128, wasm-simd, webgpu, webgpu-software or reference; got "cuda"$/,
  );
  refused(() => parseLoadOptions({ checkKv: true }), /^option "checkKv" must be warn or raise; got true$/);
  refused(() => parseLoadOptions({ draftModel: '' }), /^option "draftModel" must be the path of a GGUF file; got ""$/);
  refused(() => parseLoadOptions({ model: '' }), /option "model" must be the path/);
  refused(() => parseLoadOptions(7), /^options must be an object; got 7$/);
  refused(
    () => parseGenerateOptions({ prompt: 'a', temperature: -1 }),
    /^option "temperature" must be a number of at least 0; got -1$/,
  );
  refused(
    () => parseGenerateOptions({ prompt: 'a', speculate: true }),
    /^option "speculate" must be off, lookup or draft; got true$/,
  );
  refused(() => parseGenerateOptions({ prompt: 'a', temperature: Infinity }), /temperature/);
  refused(
    () => parseGenerateOptions({ prompt: 'a', topP: 0 }),
    /^option "topP" must be a number above 0 and at most 1; got 0$/,
  );
  refused(() => parseGenerateOptions({ prompt: 'a', topP: 1.01 }), /topP/);
  refused(
    () => parseGenerateOptions({ prompt: 'a', minP: 1 }),
    /^option "minP" must be a number of at least 0 and below 1; got 1$/,
  );
  refused(() => parseGenerateOptions({ prompt: 'a', repetitionPenalty: 0 }), /repetitionPenalty/);
  refused(
    () => parseGenerateOptions({ prompt: 'a', frequencyPenalty: 2.1 }),
    /^option "frequencyPenalty" must be a number from -2 to 2; got 2.1$/,
  );
  refused(() => parseGenerateOptions({ prompt: 'a', presencePenalty: -3 }), /^option "presencePenalty" must be/);
  refused(
    () => parseGenerateOptions({ prompt: 'a', logitBias: { 5: 101 } }),
    /^option "logitBias\.5" must be a number from -100 to 100; got 101$/,
  );
  refused(
    () => parseGenerateOptions({ prompt: 'a', logitBias: { x: 1 } }),
    /^option "logitBias\.x" must be biases by token id, such as .*; got 1$/,
  );
  refused(
    () => parseGenerateOptions({ prompt: 'a', logitBias: [1] }),
    /^option "logitBias" must be biases by token id/,
  );
  refused(
    () => parseGenerateOptions({ prompt: 'a', topLogProbs: 21 }),
    /^option "topLogProbs" must be a whole number from 0 to 20; got 21$/,
  );
  refused(
    () => parseGenerateOptions({ prompt: 'a', responseFormat: { type: 'xml' } }),
    /^option "responseFormat\.type" must be text, json_object, or json_schema with a schema; got "xml"$/,
  );
  refused(
    () => parseGenerateOptions({ prompt: 'a', responseFormat: { type: 'json_schema' } }),
    /^option "responseFormat\.schema" must be a JSON schema, an object; got nothing$/,
  );
  refused(
    () => parseGenerateOptions({ prompt: 'a', seed: 2 ** 32 }),
    /^option "seed" must be a whole number from 0 to 4294967295/,
  );
  refused(
    () => parseGenerateOptions({ prompt: 'a', stop: [''] }),
    /^option "stop\[0\]" must be a text of at least one character; got ""$/,
  );
  refused(() => parseGenerateOptions({ prompt: 'a', signal: {} }), /^option "signal" must be an AbortSignal/);
  refused(
    () => parseGenerateOptions({ messages: [{ role: 'tool', content: '' }] }),
    /^option "messages\[0\]\.role" must be system/,
  );
  refused(
    () => parseGenerateOptions({ tokens: [3, -1] }),
    /^option "tokens\[1\]" must be a whole number of at least 0; got -1$/,
  );
});

test('an unknown option is refused and the known ones are listed', () => {
  refused(
    () => parseLoadOptions({ thread: 2 }),
    /^unknown option "thread"; known options: model, kv, calibration, ctx, threads, backend/,
  );
  refused(
    () => parseGenerateOptions({ prompt: 'a', top_k: 2 }),
    /^unknown option "top_k"; known options: temperature, topK/,
  );
  refused(() => parseChatSendOptions({ prompt: 'a' }), /^unknown option "prompt"/);
  refused(
    () => parseGenerateOptions({ messages: [{ role: 'user', content: '', name: 'x' }] }),
    /^unknown option "messages\[0\]\.name"$/,
  );
});

test('exactly one kind of prompt is needed, and log-probabilities need someone who takes them', () => {
  refused(() => parseGenerateOptions({}), /^give exactly one of prompt, messages and tokens; got none$/);
  refused(() => parseGenerateOptions({ prompt: 'a', tokens: [1] }), /; got prompt and tokens$/);
  refused(() => parseGenerateOptions({ tokens: [1], logProbsAt: [0] }), /onLogProbs/);
  refused(
    () => parseGenerateOptions({ tokens: [1], logProbsAt: [1, 1], onLogProbs: () => undefined }),
    /ascending order; got \[1,1\]/,
  );
});

test('sampling defaults are greedy, and the random seed is taken where none is given', () => {
  const filters = { temperature: 0, topK: 0, topP: 1, minP: 0 };
  const greedy = { ...filters, repetitionPenalty: 1, logitBias: {}, frequencyPenalty: 0, presencePenalty: 0 };
  assert.deepEqual(resolveSampling({}, 9), { ...greedy, seed: 9 });
  assert.deepEqual(resolveSampling({ seed: 0, topK: 3 }, 9), { ...greedy, topK: 3, seed: 0 });
});
