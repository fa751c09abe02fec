import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SAMPLING_DEFAULTS } from './defaults.ts';
import { createEngineRequest, encodePrefix, encodePrompt, type RequestEncoder } from './create-request.ts';
import { ChatTemplate, TEMPLATE_KEY } from '../tokens/chat-template.ts';
import { END_ID, LETTER_A_ID, loadTinyEngine } from './testing/tiny-engine.ts';

const [A, B, C] = [LETTER_A_ID, LETTER_A_ID + 1, LETTER_A_ID + 2];

test('a prompt is text, also where it spells a special token; messages go through the template; ids stay as they are', async () => {
  const encoder = await loadTinyEngine();
  const promptOf = async (options: object) =>
    (await createEngineRequest({ seed: 1, ...options }, encoder)).promptTokens;
  assert.deepEqual(await promptOf({ prompt: 'cba' }), [C, B, A]);
  assert.ok(!(await promptOf({ prompt: 'a<|end|>' })).includes(END_ID));
  assert.deepEqual(await promptOf({ messages: [{ role: 'user', content: 'cc' }] }), [C, C, END_ID]);
  assert.deepEqual(await promptOf({ tokens: [END_ID, A] }), [END_ID, A]);
});

test('a model that wants BOS gets it before raw text only', async () => {
  const { tokenizer, chatTemplate, formats, grammars } = await loadTinyEngine();
  const encode = tokenizer.encode.bind(tokenizer);
  const bos = { encode, addBos: true, bosId: END_ID };
  const encoder: RequestEncoder = { tokenizer: bos, chatTemplate, formats, grammars };
  assert.deepEqual((await createEngineRequest({ prompt: 'a', seed: 1 }, encoder)).promptTokens, [END_ID, A]);
  assert.deepEqual((await createEngineRequest({ tokens: [A], seed: 1 }, encoder)).promptTokens, [A]);
});

test('defaults are filled in, and the seed of the host counts', async () => {
  const encoder = await loadTinyEngine();
  const request = await createEngineRequest({ prompt: 'a', seed: 9, topK: 3, conversation: 4 }, encoder);
  assert.deepEqual(request, {
    promptTokens: [A],
    sampling: { ...SAMPLING_DEFAULTS, topK: 3, seed: 9 },
    maxTokens: undefined,
    stop: [],
    ignoreEnd: false,
    logProbsAt: [],
    conversation: 4,
    grammar: undefined,
    format: undefined,
    ...{ tenant: undefined, priority: undefined, speculate: undefined, reusePrefix: undefined, topLogProbs: undefined },
  });
});

test('messages as a prefix end before the answer begins, so that a conversation can go on in any way', async () => {
  const { tokenizer } = await loadTinyEngine();
  const template =
    '{% for message in messages %}{{ message.content }}{% endfor %}{% if add_generation_prompt %}z{% endif %}';
  const chatTemplate = new ChatTemplate({ [TEMPLATE_KEY]: template }, tokenizer);
  const encoder = { tokenizer, chatTemplate: () => chatTemplate };
  const system = { role: 'system', content: 'cb' } as const;
  const prefix = encodePrefix({ messages: [system] }, encoder);
  assert.deepEqual(prefix, [C, B]);
  const prompt = encodePrompt({ messages: [system, { role: 'user', content: 'a' }] }, encoder);
  assert.deepEqual(prompt.slice(0, prefix.length), prefix);
  assert.deepEqual(encodePrefix({ tokens: [A, B] }, encoder), [A, B]);
});
