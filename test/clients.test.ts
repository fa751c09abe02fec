import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import OpenAI from 'openai';
import { LengthFinishReasonError } from 'openai/error';
import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod';
import * as z from 'zod';
import { load, type Model } from '../src/index.ts';
import { startServer, type TestServer } from '../src/server/testing/test-server.ts';
import { tinyModel } from './support/reference.ts';
import { numAborted, numRequests, until } from './support/served-model.ts';

/** The `openai` package's own calls against a running server. What the server answers byte by byte is tested in server.test.ts. */

const KEY = 'a-key-of-tests';
const messages = [{ role: 'user' as const, content: 'Tell me of the sea.' }];
const greedy = { model: 'kvant', messages, max_tokens: 8, temperature: 0 };
/** Longer than a test; `logit_bias` bans the tokens that end a turn. */
const ENDLESS = { model: 'kvant', messages, temperature: 0, logit_bias: { 0: -100, 1: -100, 2: -100 } };
const Place = z.object({ name: z.string().max(10), depth: z.int().min(0).max(9), wet: z.boolean() });
const PLACE_TOKENS = 150;

let model: Model;
let server: TestServer;
let client: OpenAI;
before(async () => {
  model = await load({ model: tinyModel('llama-d64.Q8_0.gguf'), maxSequences: 4, threads: 1 });
  server = await startServer({ model, options: { maxSequences: 4, apiKey: [KEY] } });
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: KEY, maxRetries: 0 });
});
after(async () => {
  await server.drain(0);
  await model.close();
});

const isIdle = async (): Promise<boolean> => (await numRequests(model)) === 0;

describe('chat.completions of the openai package', () => {
  it('create answers, and streams the same', async () => {
    const { choices, usage, _request_id: id } = await client.chat.completions.create(greedy);
    assert.equal(choices[0].finish_reason, 'length');
    assert.equal(usage?.completion_tokens, 8);
    assert.match(id ?? '', /^[0-9a-f-]{36}$/);
    let text = '';
    let numTokens = 0;
    const options = { ...greedy, stream: true, stream_options: { include_usage: true } } as const;
    for await (const chunk of await client.chat.completions.create(options)) {
      text += chunk.choices[0]?.delta.content ?? '';
      numTokens = chunk.usage?.completion_tokens ?? 0;
    }
    assert.equal(text, choices[0].message.content);
    assert.equal(numTokens, 8);
  });

  it('create gives n answers, the same ones for the same seed, with log-probabilities, and ends at a stop string', async () => {
    const body = { ...greedy, temperature: 1, n: 2, seed: 5, logprobs: true, top_logprobs: 1 };
    const [first, second] = [await client.chat.completions.create(body), await client.chat.completions.create(body)];
    assert.deepEqual(first.choices, second.choices);
    const texts = first.choices.map(({ message }) => message.content ?? '');
    assert.equal(new Set(texts).size, 2);
    assert.equal(first.choices[1].logprobs?.content?.map(({ token }) => token).join(''), texts[1]);
    const stop = texts[0].slice(3, 5);
    const stopped = await client.chat.completions.create({ ...body, n: 1, stop: [stop] });
    assert.equal(stopped.choices[0].message.content, texts[0].slice(0, texts[0].indexOf(stop)));
    assert.equal(stopped.choices[0].finish_reason, 'stop');
  });

  it('create tells what the cache had, and takes fields of ours', async () => {
    const content = 'The sea is wide and the night is dark. '.repeat(20);
    // The package has no types for fields that OpenAI lacks, and sends them as they are.
    const body = { ...greedy, messages: [{ role: 'user' as const, content }], kvant: { kv: 'q8' } };
    await client.chat.completions.create(body);
    const { usage, ...rest } = await client.chat.completions.create(body);
    assert.ok((usage?.prompt_tokens_details?.cached_tokens ?? 0) >= 64);
    assert.equal((rest as unknown as { kvant: { kv: { format: string } } }).kvant.kv.format, 'q8');
  });

  it('parse gives an object, and takes its answer back as it is', async () => {
    const response_format = zodResponseFormat(Place, 'place');
    const body = { ...greedy, max_tokens: PLACE_TOKENS, response_format };
    const { choices } = await client.chat.completions.parse(body);
    const [{ message }] = choices;
    assert.deepEqual(Place.parse(message.parsed), JSON.parse(message.content ?? ''));
    const next = [...messages, message, { role: 'user' as const, content: 'And of the land?' }];
    const answer = await client.chat.completions.create({ ...greedy, messages: next });
    // What the answer was said to be is in the prompt, and not its other fields.
    const { content } = message;
    const plain = [messages[0], { role: 'assistant' as const, content }, next[2]];
    const { usage } = await client.chat.completions.create({ ...greedy, messages: plain });
    assert.equal(usage?.prompt_tokens, answer.usage?.prompt_tokens);
    const cut = client.chat.completions.parse({ ...body, max_tokens: 3 });
    await assert.rejects(cut, LengthFinishReasonError);
  });

  it('take back answers whose other fields say nothing', async () => {
    const said = { role: 'assistant' as const, content: 'It is wide.' };
    const nothing = { refusal: null, audio: null, function_call: null, annotations: [] };
    const plain = await client.chat.completions.create({ ...greedy, messages: [...messages, said, ...messages] });
    for (const calls of [null, []]) {
      const whole = { ...said, ...nothing, tool_calls: calls };
      const body = {
        ...greedy,
        messages: [...messages, whole, ...messages],
        reasoning_effort: 'none',
        verbosity: 'medium',
      };
      const answer = await client.post<OpenAI.ChatCompletion>('/chat/completions', { body });
      assert.deepEqual(answer.choices, plain.choices);
    }
  });

  it('stream, with its events and its final answer', async () => {
    const response_format = zodResponseFormat(Place, 'place');
    const stream = client.chat.completions.stream({ ...greedy, max_tokens: PLACE_TOKENS, response_format });
    const pieces: string[] = [];
    stream.on('content', (piece) => pieces.push(piece));
    const { choices } = await stream.finalChatCompletion();
    assert.equal(pieces.join(''), choices[0].message.content);
    assert.deepEqual(Place.parse(choices[0].message.parsed), JSON.parse(pieces.join('')));
  });

  it('runTools is refused, with the reason', async () => {
    const parameters = { type: 'object', properties: {} };
    const tool = { function: () => 'wet', parse: JSON.parse, name: 'feel', description: 'Feels.', parameters };
    const tools = [{ type: 'function' as const, function: tool }];
    await assert.rejects(client.chat.completions.runTools({ ...greedy, tools }).finalContent(), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError);
      assert.deepEqual([error.code, error.param], ['unsupported_parameter', 'tools']);
      assert.match(error.message, /this server calls no tools/);
      return true;
    });
  });
});

describe('other calls of the openai package', () => {
  it('completions.create, whole and streamed', async () => {
    const body = { model: 'kvant', prompt: 'Once upon a time', max_tokens: 6, temperature: 0 };
    const { choices } = await client.completions.create(body);
    let text = '';
    for await (const chunk of await client.completions.create({ ...body, stream: true })) text += chunk.choices[0].text;
    assert.equal(text, choices[0].text);
    assert.equal(choices[0].finish_reason, 'length');
  });

  const body = { model: 'kvant', instructions: 'Be brief.', input: 'Tell me of the sea.', temperature: 0 };

  it('responses.create, whole and streamed, and its output as input', async () => {
    const short = { ...body, max_output_tokens: 6 };
    const whole = await client.responses.create({ ...short, text: { verbosity: 'medium' } });
    assert.equal(whole.status, 'incomplete');
    assert.ok(whole.output_text.length > 0);
    let text = '';
    for await (const event of await client.responses.create({ ...short, stream: true })) {
      if (event.type === 'response.output_text.delta') text += event.delta;
    }
    assert.equal(text, whole.output_text);
    const final = await client.responses.stream(short).finalResponse();
    assert.equal(final.output_text, text);
    const input = [{ role: 'user' as const, content: body.input }, ...whole.output, messages[0]];
    const next = await client.responses.create({ ...short, input: input as OpenAI.Responses.ResponseInput });
    assert.ok((next.usage?.input_tokens ?? 0) > (whole.usage?.input_tokens ?? 0));
  });

  it('responses.parse and responses.stream give objects', async () => {
    const text = { format: zodTextFormat(Place, 'place') };
    const options = { ...body, max_output_tokens: PLACE_TOKENS, text };
    const { output_parsed: parsed, status } = await client.responses.parse(options);
    assert.equal(status, 'completed');
    const streamed = await client.responses.stream(options).finalResponse();
    assert.deepEqual(streamed.output_parsed, Place.parse(parsed));
  });

  it('models.list and models.retrieve', async () => {
    const ids: string[] = [];
    for await (const { id } of client.models.list()) ids.push(id);
    assert.deepEqual(ids, ['llama-d64.q8_0']);
    assert.equal((await client.models.retrieve(ids[0])).id, ids[0]);
  });
});

describe('the openai package, when something ends or fails', () => {
  it('aborts: the engine stops at once', async () => {
    const numBefore = await numAborted(server, KEY);
    const controller = new AbortController();
    const stream = await client.chat.completions.create({ ...ENDLESS, stream: true }, { signal: controller.signal });
    let numChunks = 0;
    for await (const { choices } of stream) {
      numChunks += choices.length;
      if (numChunks === 3) controller.abort();
    }
    await until(isIdle);
    const left = await client.chat.completions.create({ ...ENDLESS, stream: true });
    for await (const { choices } of left) if (choices.length > 0) break;
    await until(isIdle);
    const whole = new AbortController();
    const answer = client.chat.completions.create(ENDLESS, { signal: whole.signal });
    const rejected = assert.rejects(answer, OpenAI.APIUserAbortError);
    await until(async () => !(await isIdle()));
    whole.abort();
    await rejected;
    await until(isIdle);
    assert.equal(await numAborted(server, KEY), numBefore + 3);
  });

  it('throws its own class for each status', async () => {
    const { completions } = client.chat;
    const stranger = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'another-key', maxRetries: 0 });
    const other = { ...greedy, model: 'gpt-4' };
    const hot = { ...greedy, temperature: 3 };
    const cases = [
      [() => stranger.chat.completions.create(greedy), OpenAI.AuthenticationError, 401, 'invalid_api_key', undefined],
      [() => completions.create(hot), OpenAI.BadRequestError, 400, 'invalid_value', 'temperature'],
      [() => completions.create({ ...hot, stream: true }), OpenAI.BadRequestError, 400, 'invalid_value', 'temperature'],
      [() => completions.create(other), OpenAI.NotFoundError, 404, 'model_not_found', 'model'],
      [() => client.models.retrieve('gpt-4'), OpenAI.NotFoundError, 404, 'model_not_found', 'model'],
      [() => client.responses.retrieve('resp_1'), OpenAI.NotFoundError, 404, 'unknown_url', undefined],
    ] as const;
    for (const [call, kind, status, code, param] of cases) {
      await assert.rejects(call, (error) => {
        assert.ok(error instanceof kind, String(error));
        assert.deepEqual([error.status, error.code, error.param ?? undefined], [status, code, param]);
        assert.ok(error.requestID);
        return true;
      });
    }
  });

  it('is turned away when the server is full, and comes in when it tries again', async () => {
    const small = await startServer({ model, options: { maxSequences: 1, maxQueue: 0 } });
    try {
      const options = { baseURL: `${small.url}/v1`, apiKey: 'none' };
      const blocker = await new OpenAI(options).chat.completions.create({ ...ENDLESS, stream: true });
      const impatient = new OpenAI({ ...options, maxRetries: 0 });
      await assert.rejects(impatient.chat.completions.create(greedy), (error) => {
        assert.ok(error instanceof OpenAI.RateLimitError);
        assert.equal(error.headers.get('retry-after'), '1');
        return error.code === 'queue_full';
      });
      const statuses: number[] = [];
      const watched: typeof fetch = async (url, init) => {
        const response = await fetch(url, init);
        statuses.push(response.status);
        blocker.controller.abort();
        return response;
      };
      const patient = new OpenAI({ ...options, maxRetries: 3, fetch: watched });
      assert.equal((await patient.chat.completions.create(greedy)).choices[0].finish_reason, 'length');
      assert.deepEqual(statuses, [429, 200]);
    } finally {
      await small.drain(0);
    }
  });

  it('throws in mid-stream when the server ends, and before the stream for a prompt that is too long', async () => {
    const brief = await startServer({ model, options: { maxSequences: 4 } });
    const asker = new OpenAI({ baseURL: `${brief.url}/v1`, apiKey: 'none', maxRetries: 0 });
    const long = {
      ...greedy,
      messages: [{ role: 'user' as const, content: 'word '.repeat(10_000) }],
      stream: true as const,
    };
    await assert.rejects(asker.chat.completions.create(long), (error) => {
      return error instanceof OpenAI.BadRequestError && error.code === 'context_length_exceeded';
    });
    const stream = await asker.chat.completions.create({ ...ENDLESS, stream: true });
    let hasText = false;
    const rejected = assert.rejects(
      async () => {
        for await (const { choices } of stream) hasText ||= choices[0].delta.content !== '';
      },
      (error) => {
        assert.ok(error instanceof OpenAI.APIError, String(error));
        assert.match(error.message, /shutting down/);
        return error.code === 'server_shutting_down';
      },
    );
    // Of responses the package hands the event on.
    const body = { model: 'kvant', input: messages[0].content, temperature: 0, max_output_tokens: 4000 };
    const events = await asker.responses.create({ ...body, stream: true });
    let last: OpenAI.Responses.ResponseStreamEvent | undefined;
    const read = async (): Promise<void> => {
      for await (const event of events) last = event;
    };
    const isRead = read();
    await until(() => hasText && last?.type === 'response.output_text.delta');
    await brief.drain(0);
    await Promise.all([rejected, isRead]);
    assert.ok(last?.type === 'error');
    assert.equal(last.code, 'server_shutting_down');
  });
});
