import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { load, type Model } from '../src/index.ts';
import type { PlanReport } from '../src/engine/plan-report.ts';
import type { CacheReport } from '../src/server/cache-report.ts';
import type { ChatChunk, ChatCompletion } from '../src/server/chat-completion.ts';
import type { TextCompletion } from '../src/server/completion-schema.ts';
import type { ResponseObject } from '../src/server/response-object.ts';
import { errorOf, jsonOf, startServer, type TestServer } from '../src/server/testing/test-server.ts';
import { tinyModel } from './support/reference.ts';

/** The server with a tiny model, asked as clients of OpenAI's API ask. Its safety is tested in server-safety.test.ts. */

const CHAT = '/v1/chat/completions';
const messages = [{ role: 'user', content: 'Tell me of the sea.' }];
const greedy = { messages, max_tokens: 8, temperature: 0 };

let model: Model;
let server: TestServer;
before(async () => {
  model = await load({ model: tinyModel('llama-d64.Q8_0.gguf'), ctx: 1024, maxSequences: 4, threads: 1 });
  server = await startServer({ model, options: { maxSequences: 4 } });
});
after(async () => {
  await server.drain(0);
  await model.close();
});

const chat = (body: object): Promise<ChatCompletion> => server.json(CHAT, body);
const chunksOf = async (body: object): Promise<ChatChunk[]> => jsonOf(await server.events(CHAT, body));
const completion = (body: object): Promise<TextCompletion> => server.json('/v1/completions', body);
const response = (body: object): Promise<ResponseObject> => server.json('/v1/responses', body);
const tokenize = (body: object): Promise<{ tokens: number[]; count: number }> => server.json('/v1/tokenize', body);
const detokenize = (body: object): Promise<{ text: string }> => server.json('/v1/detokenize', body);
const get = async <T>(path: string): Promise<T> => (await (await fetch(server.url + path)).json()) as T;

describe('chat completions', () => {
  it('are what the library generates', async () => {
    const [answer, generated] = await Promise.all([
      chat(greedy),
      model.generate({ messages: [{ role: 'user', content: 'Tell me of the sea.' }], maxTokens: 8 }).result,
    ]);
    assert.equal(answer.object, 'chat.completion');
    assert.match(answer.id, /^chatcmpl-[0-9a-f]{32}$/);
    assert.equal(answer.model, 'llama-d64.q8_0');
    assert.deepEqual(answer.choices, [
      {
        index: 0,
        message: { role: 'assistant', content: generated.text, refusal: null },
        logprobs: null,
        finish_reason: 'length',
      },
    ]);
    const { prompt_tokens, completion_tokens, total_tokens } = answer.usage;
    assert.deepEqual(
      [prompt_tokens, completion_tokens, total_tokens],
      [generated.promptTokens, 8, generated.promptTokens + 8],
    );
    assert.deepEqual(Object.keys(answer.kvant), ['kv', 'cached_tokens', 'ttft_ms', 'decode_tps', 'seed']);
    assert.equal(answer.kvant.kv.format, 'q4');
    assert.equal(answer.kvant.kv.tokens, generated.kv.tokens);
  });

  it('stream: the role first, then the text, then the reason, then the usage where it is wanted, all with one id', async () => {
    const whole = await chat(greedy);
    const events = await server.events(CHAT, { ...greedy, stream_options: { include_usage: true } });
    assert.equal(events.at(-1), '[DONE]');
    const chunks = jsonOf<ChatChunk>(events);
    assert.equal(new Set(chunks.map(({ id }) => id)).size, 1);
    assert.ok(chunks.every(({ object }) => object === 'chat.completion.chunk'));
    const deltas = chunks.slice(0, -1).map(({ choices }) => choices[0].delta);
    assert.deepEqual(deltas[0], { role: 'assistant', content: '', refusal: null });
    assert.ok(deltas.slice(1).every((delta) => !('role' in delta)));
    assert.equal(deltas.map(({ content = '' }) => content).join(''), whole.choices[0].message.content);
    const last = chunks.at(-2);
    assert.deepEqual(last?.choices[0].delta, {});
    assert.equal(last?.choices[0].finish_reason, 'length');
    assert.equal(last?.kvant?.kv.format, 'q4');
    assert.deepEqual(chunks.at(-1)?.choices, []);
    assert.equal(chunks.at(-1)?.usage?.completion_tokens, 8);
    assert.ok(chunks.slice(0, -1).every(({ usage }) => usage === null));
    const without = await chunksOf(greedy);
    assert.ok(without.every((chunk) => !('usage' in chunk)));
  });

  it('give several choices, streamed or not, each with a seed of its own', async () => {
    const body = { messages, max_tokens: 6, temperature: 1, seed: 7, n: 3 };
    const whole = await chat(body);
    const texts = whole.choices.map(({ message }) => message.content);
    assert.equal(new Set(texts).size, 3);
    const streamed = ['', '', ''];
    const reasons: string[] = [];
    for (const { choices } of await chunksOf(body)) {
      const [{ index, delta, finish_reason: reason }] = choices;
      streamed[index] += delta.content ?? '';
      if (reason) reasons.push(reason);
    }
    assert.deepEqual(streamed, texts);
    assert.deepEqual(reasons, ['length', 'length', 'length']);
    const own = await chat({ ...body, seed: 8, n: 1 });
    assert.equal(own.choices[0].message.content, texts[1]);
    assert.equal(whole.usage.completion_tokens, 18);
    assert.equal(whole.usage.prompt_tokens, own.usage.prompt_tokens, 'the prompt counts once');
  });

  it('end before a stop string', async () => {
    const { choices } = await chat({ ...greedy, max_tokens: 24 });
    const text: string = choices[0].message.content;
    const stop = text.slice(5, 9);
    const stopped = await chat({ ...greedy, max_tokens: 24, stop });
    assert.equal(stopped.choices[0].message.content, text.slice(0, text.indexOf(stop)));
    assert.equal(stopped.choices[0].finish_reason, 'stop');
  });

  it('take system messages as developer, content in parts, and their own name of the most tokens', async () => {
    const system = { role: 'system', content: 'Be brief.' };
    const first = await chat({ ...greedy, messages: [system, ...messages] });
    const parts = [
      { type: 'text', text: 'Tell me ' },
      { type: 'text', text: 'of the sea.' },
    ];
    const second = await chat({
      messages: [
        { ...system, role: 'developer', tool_calls: [], annotations: [], audio: null, parsed: {} },
        { role: 'user', content: parts },
      ],
      ...{ temperature: 0, max_completion_tokens: 8, max_tokens: null, tools: [], user: 'me', store: false },
    });
    assert.deepEqual(second.choices, first.choices);
  });

  it('tell log-probabilities of the tokens that are in the text', async () => {
    const { choices } = await chat({ ...greedy, logprobs: true, top_logprobs: 2 });
    const [{ message, logprobs }] = choices;
    assert.equal(logprobs!.content.map(({ token }) => token).join(''), message.content);
    for (const { token, logprob, top_logprobs: top } of logprobs!.content) {
      assert.equal(top.length, 2);
      assert.deepEqual([top[0].token, top[0].logprob], [token, logprob], 'greedy choice takes the likeliest');
      assert.ok(top[1].logprob <= logprob);
    }
    const streamed = (await chunksOf({ ...greedy, logprobs: true })).flatMap(
      (chunk) => chunk.choices[0].logprobs?.content ?? [],
    );
    assert.deepEqual(
      streamed.map(({ token, logprob }) => [token, logprob]),
      logprobs!.content.map(({ token, logprob }) => [token, logprob]),
    );
  });

  it('never take a token that its bias bans, and always one that its bias forces', async () => {
    const { tokens } = await tokenize({ input: ' the' });
    const forced = await chat({ ...greedy, logit_bias: { [tokens[0]]: 100 }, max_tokens: 3 });
    const { text } = await detokenize({ tokens: [tokens[0], tokens[0], tokens[0]] });
    assert.equal(forced.choices[0].message.content, text);
  });

  it('have the form that a schema asks for', async () => {
    const schema = {
      type: 'object',
      properties: { wet: { type: 'boolean' }, kind: { enum: ['sea', 'land'] } },
      required: ['wet', 'kind'],
      additionalProperties: false,
    };
    const format = { type: 'json_schema', json_schema: { name: 'place', schema, strict: true } };
    const { choices } = await chat({ ...greedy, temperature: 1, max_tokens: 100, response_format: format });
    assert.equal(choices[0].finish_reason, 'stop');
    const { wet, kind } = JSON.parse(choices[0].message.content) as { wet: unknown; kind: string };
    assert.ok(typeof wet === 'boolean' && ['sea', 'land'].includes(kind));
    const text = { format: { type: 'json_schema', name: 'place', schema } };
    const { output } = await response({ input: 'Where?', max_output_tokens: 100, text });
    assert.ok('wet' in (JSON.parse(output[0].content[0].text) as object));
  });

  it('choose the KV format by request, and find equal beginnings in the cache', async () => {
    const long = [{ role: 'user', content: 'The sea is wide and the night is dark. '.repeat(20) }];
    const body = { ...greedy, messages: long, kvant: { kv: 'q8' } };
    const first = await chat(body);
    assert.equal(first.kvant.kv.format, 'q8');
    assert.equal(first.usage.prompt_tokens_details.cached_tokens, 0);
    const second = await chat(body);
    assert.ok(second.usage.prompt_tokens_details.cached_tokens >= 64);
    assert.equal(second.kvant.cached_tokens, second.usage.prompt_tokens_details.cached_tokens);
    assert.deepEqual(second.choices, first.choices);
    const other = await chat({ ...body, kvant: {} });
    assert.equal(other.usage.prompt_tokens_details.cached_tokens, 0, 'another format has pages of its own');
  });

  it('go on with a conversation, of which only the new message is sent', async () => {
    const kvant = { conversation: 'talk' };
    const first = await chat({ ...greedy, kvant });
    assert.deepEqual([first.kvant.conversation, first.kvant.turn], ['talk', 1]);
    const next = { role: 'user', content: 'And of the land?' };
    const second = await chat({ ...greedy, messages: [next], kvant });
    assert.equal(second.kvant.turn, 2);
    assert.ok(second.kvant.cached_tokens > 0);
    const said = [...messages, first.choices[0].message, next].map(({ role, content }) => ({ role, content }));
    const whole = await chat({ ...greedy, messages: said });
    assert.equal(second.choices[0].message.content, whole.choices[0].message.content);
    const wrong = await server.post(CHAT, { ...greedy, messages: [messages[0], next], kvant });
    assert.equal((await errorOf(wrong)).code, 'conversation_mismatch');
  });
});

describe('text completions', () => {
  it('go on with texts and with token ids', async () => {
    const { tokens } = await tokenize({ input: 'Once upon a time' });
    const fields = { max_tokens: 6, temperature: 0 };
    const [texts, ids] = [
      await completion({ ...fields, prompt: ['Once upon a time', 'The sea'], n: 2, seed: 1 }),
      await completion({ ...fields, prompt: [tokens, tokens] }),
    ];
    assert.deepEqual(
      texts.choices.map(({ index }) => index),
      [0, 1, 2, 3],
    );
    const { text } = await model.generate({ prompt: 'Once upon a time', maxTokens: 6 }).result;
    assert.equal(texts.choices[0].text, text);
    assert.equal(ids.choices[1].text, (await model.generate({ tokens: tokens, maxTokens: 6 }).result).text);
    assert.equal(ids.usage?.prompt_tokens, 2 * tokens.length);
  });

  it('stream', async () => {
    const body = { prompt: 'Once upon a time', max_tokens: 6, temperature: 0, logprobs: 1 };
    const whole = await completion(body);
    const events = await server.events('/v1/completions', { ...body, stream_options: { include_usage: true } });
    const chunks = jsonOf<TextCompletion>(events);
    const texts = chunks.flatMap(({ choices }) => choices.map(({ text }) => text));
    assert.equal(texts.join(''), whole.choices[0].text);
    const offsets = chunks.flatMap(({ choices }) => choices[0]?.logprobs?.text_offset ?? []);
    assert.deepEqual(offsets, whole.choices[0].logprobs?.text_offset);
    assert.equal(chunks.at(-1)?.usage?.completion_tokens, 6);
    assert.equal(events.at(-1), '[DONE]');
  });
});

/** What tests look at of an event. */
interface ResponseEvent {
  readonly type: string;
  readonly sequence_number: number;
  readonly delta?: string;
  readonly response?: ResponseObject;
}

describe('responses', () => {
  const body = { instructions: 'Be brief.', input: 'Tell me of the sea.', max_output_tokens: 6, temperature: 0 };

  it('are what chat completions are', async () => {
    const said = [{ role: 'system', content: 'Be brief.' }, ...messages];
    const chatted = await chat({ ...greedy, messages: said, max_tokens: 6 });
    const answer = await response(body);
    assert.equal(answer.object, 'response');
    assert.equal(answer.output[0].content[0].text, chatted.choices[0].message.content);
    assert.equal(answer.status, 'incomplete');
    assert.deepEqual(answer.incomplete_details, { reason: 'max_output_tokens' });
    assert.equal(answer.usage?.output_tokens, 6);
    const input = [{ role: 'user', content: [{ type: 'input_text', text: body.input }] }];
    const items = await response({ ...body, input });
    assert.deepEqual(items.output[0].content, answer.output[0].content);
  });

  it('stream as the events that OpenAI has, numbered', async () => {
    const events = jsonOf<ResponseEvent>(await server.events('/v1/responses', body));
    assert.deepEqual(
      events.map((event) => event.sequence_number),
      [...events.keys()],
    );
    const types = events.map(({ type }) => type).filter((type, i, all) => type !== all[i - 1]);
    assert.deepEqual(types, [
      ...['response.created', 'response.in_progress', 'response.output_item.added', 'response.content_part.added'],
      ...['response.output_text.delta', 'response.output_text.done', 'response.content_part.done'],
      ...['response.output_item.done', 'response.incomplete'],
    ]);
    const deltas = events.filter(({ type }) => type === 'response.output_text.delta');
    assert.equal(deltas.map(({ delta }) => delta).join(''), events.at(-1)?.response?.output[0].content[0].text);
  });
});

describe('models and tokens', () => {
  it('are told, each by its name', async () => {
    const list = await get('/v1/models');
    const one = await get<{ kvant: { kv: string; ctx: number } }>('/v1/models/llama-d64.q8_0');
    assert.deepEqual(list, { object: 'list', data: [one] });
    assert.deepEqual([one.kvant.kv, one.kvant.ctx], ['q4', 1024]);
    const missing = await fetch(`${server.url}/v1/models/gpt-4`);
    assert.equal(missing.status, 404);
    assert.equal((await errorOf(missing)).code, 'model_not_found');
  });

  it('go there and back', async () => {
    const { tokens, count } = await tokenize({ input: 'The sea, <|im_end|>!' });
    assert.equal(tokens.length, count);
    assert.equal((await detokenize({ tokens })).text, 'The sea, <|im_end|>!');
    const prompt = await tokenize({ messages });
    assert.deepEqual(
      prompt.tokens,
      await model.encode({ messages: [{ role: 'user', content: 'Tell me of the sea.' }] }),
    );
  });
});

const schemaFormat = (schema: object): object => ({ type: 'json_schema', json_schema: { name: 'a', schema } });
const nested = (depth: number): object => (depth === 0 ? {} : { type: 'array', items: nested(depth - 1) });

describe('requests that are wrong', () => {
  const cases: readonly (readonly [
    path: string,
    body: unknown,
    status: number,
    code: string,
    param: string | null,
    RegExp,
  ])[] = [
    [CHAT, '{"messages": ', 400, 'invalid_json', null, /^the body is not valid JSON$/],
    [CHAT, '', 400, 'invalid_json', null, /^the body is empty: send a JSON object$/],
    [CHAT, [], 400, 'invalid_type', null, /^the body must be a JSON object$/],
    [CHAT, '{"__proto__": {}}', 400, 'invalid_json', null, /not valid JSON/],
    [CHAT, {}, 400, 'missing_required_parameter', 'messages', /^Missing required parameter: 'messages'\.$/],
    [CHAT, { ...greedy, foo: 1 }, 400, 'unknown_parameter', 'foo', /^Unrecognized request argument supplied: foo$/],
    [CHAT, { ...greedy, kvant: { bits: 4 } }, 400, 'unknown_parameter', 'kvant.bits', /supplied: kvant\.bits$/],
    [
      CHAT,
      { ...greedy, messages: [] },
      400,
      'invalid_value',
      'messages',
      /must have at least one message; got a list of 0$/,
    ],
    [
      ...([
        CHAT,
        { ...greedy, messages: [{ role: 'king', content: '' }] },
        400,
        'invalid_value',
        'messages[0].role',
      ] as const),
      /^'messages\[0\]\.role' must be system, developer, user or assistant; got "king"$/,
    ],
    [
      CHAT,
      { ...greedy, messages: [{ role: 'user', content: 3 }] },
      400,
      'invalid_type',
      'messages[0].content',
      /got 3$/,
    ],
    [CHAT, { ...greedy, temperature: 3 }, 400, 'invalid_value', 'temperature', /must be a number from 0 to 2; got 3$/],
    [CHAT, { ...greedy, temperature: '1' }, 400, 'invalid_type', 'temperature', /from 0 to 2; got "1"$/],
    [CHAT, { ...greedy, n: 9 }, 400, 'invalid_value', 'n', /must be a whole number from 1 to 8; got 9$/],
    [
      CHAT,
      { ...greedy, stop: ['a', 'b', 'c', 'd', 'e'] },
      400,
      'invalid_value',
      'stop',
      /at most 4 texts; got a list of 5$/,
    ],
    [
      CHAT,
      { ...greedy, max_tokens: 2000 },
      400,
      'invalid_value',
      'max_tokens',
      /too large: 2000.*at most 1024 tokens$/,
    ],
    [CHAT, { ...greedy, top_logprobs: 2 }, 400, 'invalid_value', 'top_logprobs', /needs logprobs: true$/],
    [CHAT, { ...greedy, stream_options: {} }, 400, 'invalid_value', 'stream_options', /needs stream: true$/],
    [CHAT, { ...greedy, tools: [{}] }, 400, 'unsupported_parameter', 'tools', /calls no tools$/],
    [
      CHAT,
      { ...greedy, model: 'gpt-4' },
      404,
      'model_not_found',
      'model',
      /'gpt-4' does not exist: this server has 'llama-d64/,
    ],
    [CHAT, { ...greedy, kvant: { kv: 'q9' } }, 400, 'invalid_value', 'kvant.kv', /must be f16, q8.*got "q9"$/],
    [CHAT, { ...greedy, kvant: { kv: 'mix2' } }, 400, 'invalid_value', null, /needs a calibration/],
    [
      ...([CHAT, { ...greedy, messages: [{ role: 'user', content: 'word '.repeat(2000) }] }, 400] as const),
      ...(['context_length_exceeded', 'messages', /^the prompt has .* tokens, but the context holds 1,024/] as const),
    ],
    [
      ...([
        CHAT,
        { ...greedy, messages: [{ role: 'user', content: [{ type: 'image_url', image_url: {} }] }] },
        400,
      ] as const),
      ...(['unsupported_parameter', 'messages[0].content[0].type', /of type text only$/] as const),
    ],
    [
      CHAT,
      { ...greedy, messages: [{ role: 'tool', content: '' }] },
      400,
      'unsupported_parameter',
      'messages[0].role',
      /no tools$/,
    ],
    [
      ...([CHAT, { ...greedy, response_format: schemaFormat(nested(40)) }, 400, 'invalid_value'] as const),
      ...(['response_format.json_schema.schema', /nested deeper than 32 levels: make it flatter$/] as const),
    ],
    [
      ...([CHAT, { ...greedy, response_format: schemaFormat({ type: 'object', if: {} }) }, 400] as const),
      ...(['invalid_value', 'response_format.schema', /"if"/] as const),
    ],
    [
      ...([CHAT, { ...greedy, messages: [{ role: 'user', content: ' '.repeat(20_000) }] }, 400] as const),
      ...([
        'context_length_exceeded',
        'messages',
        /^the request has 20,000 characters .* at most 16,384: shorten it$/,
      ] as const),
    ],
    [CHAT, { ...greedy, logit_bias: { a: 1 } }, 400, 'invalid_value', 'logit_bias', /must have token ids as its keys/],
    [
      ...([CHAT, { ...greedy, messages: [{ role: 'assistant', content: '', tool_calls: [{}] }] }, 400] as const),
      ...(['unsupported_parameter', 'messages[0].tool_calls', /no tools$/] as const),
    ],
    [CHAT, { ...greedy, metadata: [] }, 400, 'invalid_type', 'metadata', /must be an object; got a list of 0$/],
    [CHAT, { ...greedy, logit_bias: { 5000: 1 } }, 400, 'invalid_value', 'logit_bias', /vocabulary, 0 to 2047/],
    ['/v1/completions', { prompt: '', max_tokens: 1 }, 400, 'invalid_value', null, /no tokens/],
    ['/v1/completions', { prompt: [1, 'a'] }, 400, 'invalid_type', 'prompt[0]', /must be a text, a list of/],
    ['/v1/completions', { prompt: 'a', echo: true }, 400, 'unsupported_parameter', 'echo', /put the prompt before/],
    ['/v1/completions', { prompt: [999_999] }, 400, 'invalid_value', null, /not in the model's vocabulary/],
    [
      ...(['/v1/responses', { input: 'a', previous_response_id: 'resp_1' }, 400, 'unsupported_parameter'] as const),
      ...(['previous_response_id', /keeps no answers: send the whole conversation as input$/] as const),
    ],
    ['/v1/tokenize', {}, 400, 'missing_required_parameter', 'input', /./],
    ['/v1/detokenize', { tokens: [99_999] }, 400, 'invalid_value', 'tokens[0]', /go from 0 to 2047; got 99999$/],
  ];
  for (const [path, body, status, code, param, message] of cases) {
    it(`${path} ${JSON.stringify(body).slice(0, 60)}: ${code}`, async () => {
      const response = await server.post(path, body);
      const error = await errorOf(response);
      assert.deepEqual(
        [response.status, error.code, error.param, error.type],
        [status, code, param, 'invalid_request_error'],
        error.message,
      );
      assert.match(error.message, message);
    });
  }

  it('in other ways than by their body', async () => {
    const found = async (path: string, init?: RequestInit) => {
      const response = await fetch(server.url + path, init);
      return [response.status, (await errorOf(response)).code];
    };
    assert.deepEqual(await found('/v1/nothing'), [404, 'unknown_url']);
    assert.deepEqual(await found(CHAT), [405, 'method_not_allowed']);
    assert.deepEqual(await found(CHAT, { method: 'POST', body: 'a=b' }), [415, 'unsupported_media_type']);
    const headers = { 'content-type': 'application/json' };
    const body = `{"messages": "${'x'.repeat(4_000_000)}"}`;
    assert.deepEqual(await found(CHAT, { method: 'POST', headers, body }), [413, 'request_too_large']);
    assert.deepEqual(await found('/v1/plan?ctx=many'), [400, 'invalid_type']);
    assert.deepEqual(await found('/v1/plan?colour=red'), [400, 'unknown_parameter']);
  });
});

describe('the cache, plans and metrics', () => {
  it('are told', async () => {
    const cache = await get<CacheReport>('/v1/cache');
    assert.equal(cache.model.kv, 'q4');
    assert.ok(cache.pages.by_state.kept > 0, 'pages of earlier prompts');
    assert.ok(cache.memory.saved_bytes > 0);
    const plan = await get<PlanReport>('/v1/plan?ctx=512&memory=1GB&users=2');
    assert.deepEqual([plan.ctx, plan.users, plan.limits[0].bytes], [512, 2, 1e9]);
    const metrics = await fetch(`${server.url}/metrics`);
    assert.match(metrics.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
    const text = await metrics.text();
    assert.match(text, /^vllm:num_requests_running\{.*\} 0$/m);
    assert.match(text, /^vllm:time_to_first_token_seconds_count\{.*\} [1-9]\d*$/m);
  });
});
