import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { HumanMessage, type AIMessageChunk, type UsageMetadata } from '@langchain/core/messages';
import { ChatOpenAI } from '@langchain/openai';
import { APICallError, generateObject, generateText, Output, streamObject, streamText } from 'ai';
import * as z from 'zod';
import { load, type Model } from '../src/index.ts';
import { startServer, type TestServer } from '../src/server/testing/test-server.ts';
import { tinyModel } from './support/reference.ts';
import { numAborted, numRequests, until } from './support/served-model.ts';

/** The Vercel AI SDK and LangChain.js against a running server. */

const KEY = 'a-key-of-tests';
const prompt = 'Tell me of the sea.';
const Place = z.object({ name: z.string().max(10), depth: z.int().min(0).max(9), wet: z.boolean() });
const PLACE_TOKENS = 150;
/** Longer than a test; `logit_bias` bans the tokens that end a turn. */
const MANY_TOKENS = 8000;
const NO_END = { logit_bias: { 0: -100, 1: -100, 2: -100 } };

let model: Model;
let server: TestServer;
before(async () => {
  model = await load({ model: tinyModel('llama-d64.Q8_0.gguf'), ctx: 8192, maxSequences: 4, threads: 1 });
  server = await startServer({ model, options: { maxSequences: 4, apiKey: [KEY], maxTokens: MANY_TOKENS } });
});
after(async () => {
  await server.drain(0);
  await model.close();
});

/** Waits until the engine does nothing; one answer more must have been aborted since. */
async function untilAborted(numBefore: number): Promise<void> {
  await until(async () => (await numRequests(model)) === 0);
  assert.equal(await numAborted(server, KEY), numBefore + 1);
}

describe('the AI SDK', () => {
  const provider = (apiKey = KEY) =>
    createOpenAICompatible({
      ...{ name: 'kvant', baseURL: `${server.url}/v1`, apiKey },
      ...{ includeUsage: true, supportsStructuredOutputs: true },
    });
  const settings = () => ({ model: provider()('kvant'), temperature: 0, maxOutputTokens: 8, maxRetries: 0 });
  const objects = () => ({ ...settings(), maxOutputTokens: PLACE_TOKENS, prompt });

  it('generateText and streamText give the same, with usage', async () => {
    const whole = await generateText({ ...settings(), prompt, stopSequences: ['nowhere'], seed: 1 });
    assert.equal(whole.finishReason, 'length');
    assert.equal(whole.usage.outputTokens, 8);
    assert.deepEqual(whole.warnings, []);
    const streamed = streamText({ ...settings(), prompt });
    let text = '';
    for await (const piece of streamed.textStream) text += piece;
    assert.equal(text, whole.text);
    assert.deepEqual(
      [await streamed.finishReason, (await streamed.usage).inputTokens, (await streamed.usage).outputTokens],
      ['length', whole.usage.inputTokens, 8],
    );
  });

  it('generateText goes on with its own messages, and is told what the cache had', async () => {
    const user = { role: 'user' as const, content: 'The sea is wide and the night is dark. '.repeat(10) };
    const first = await generateText({ ...settings(), messages: [user] });
    const next = { role: 'user' as const, content: 'Go on.' };
    const second = await generateText({ ...settings(), messages: [user, ...first.response.messages, next] });
    assert.ok((second.usage.inputTokenDetails.cacheReadTokens ?? 0) >= 64);
  });

  it('generateText passes fields of ours on', async () => {
    const providerOptions = { kvant: { kvant: { kv: 'q8' } } };
    const { response } = await generateText({ ...settings(), prompt, providerOptions });
    assert.equal((response.body as { kvant: { kv: { format: string } } }).kvant.kv.format, 'q8');
  });

  it('generateObject, streamObject and Output give what the schema asks for', async () => {
    const { object } = await generateObject({ ...objects(), schema: Place });
    assert.deepEqual(Place.parse(object), object);
    const streamed = streamObject({ ...objects(), schema: Place });
    let last: unknown;
    for await (const part of streamed.partialObjectStream) last = part;
    assert.deepEqual(last, object);
    assert.deepEqual(await streamed.object, object);
    const { output } = await generateText({ ...objects(), output: Output.object({ schema: Place }) });
    assert.deepEqual(output, object);
    const options = ['sea', 'land'];
    const { output: choice } = await generateText({ ...objects(), output: Output.choice({ options }) });
    assert.ok(options.includes(choice));
  });

  it('goes on with a text as a completion model', async () => {
    const completion = { ...settings(), model: provider().completionModel('kvant'), prompt };
    const whole = await generateText(completion);
    let text = '';
    for await (const piece of streamText(completion).textStream) text += piece;
    assert.equal(text, whole.text);
  });

  it('aborts: the engine stops at once', async () => {
    const numBefore = await numAborted(server, KEY);
    const controller = new AbortController();
    const long = { ...settings(), maxOutputTokens: MANY_TOKENS, providerOptions: { kvant: NO_END } };
    const endless = { ...long, prompt, abortSignal: controller.signal };
    let numPieces = 0;
    let isAborted = false;
    for await (const part of streamText(endless).fullStream) {
      if (part.type === 'abort') isAborted = true;
      if (part.type === 'text-delta' && ++numPieces === 3) controller.abort();
    }
    assert.ok(isAborted);
    await untilAborted(numBefore);
  });

  it('throws APICallError with our message, and tools are refused', async () => {
    const failing = [
      [generateText({ ...settings(), model: provider()('gpt-4'), prompt }), 404, /'gpt-4' does not exist/],
      [generateText({ ...settings(), model: provider('another-key')('kvant'), prompt }), 401, /the API key is wrong/],
      [
        generateText({ ...settings(), prompt, tools: { feel: { inputSchema: z.object({}) } } }),
        ...([400, /calls no tools/] as const),
      ],
    ] as const;
    for (const [call, status, message] of failing) {
      await assert.rejects(call, (error) => {
        assert.ok(APICallError.isInstance(error), String(error));
        assert.equal(error.statusCode, status);
        assert.match(error.message, message);
        return true;
      });
    }
  });
});

describe("LangChain's ChatOpenAI", () => {
  const usageOf = (message: object | undefined) => (message as { usage_metadata?: UsageMetadata }).usage_metadata;
  const chat = (fields: ConstructorParameters<typeof ChatOpenAI>[0] & object = {}) =>
    new ChatOpenAI({
      ...{ model: 'kvant', apiKey: KEY, configuration: { baseURL: `${server.url}/v1` } },
      ...{ temperature: 0, maxTokens: 8, maxRetries: 0, ...fields },
    });

  it('invokes and streams the same, with usage', async () => {
    const whole = await chat().invoke(prompt);
    assert.equal(usageOf(whole)?.output_tokens, 8);
    assert.equal(whole.response_metadata['finish_reason'], 'length');
    let streamed: AIMessageChunk | undefined;
    for await (const chunk of await chat().stream(prompt)) streamed = streamed?.concat(chunk) ?? chunk;
    assert.equal(streamed?.text, whole.text);
    assert.equal(usageOf(streamed)?.total_tokens, usageOf(whole)?.total_tokens);
    const next = await chat().invoke([new HumanMessage(prompt), whole, new HumanMessage('Go on.')]);
    assert.ok((usageOf(next)?.input_tokens ?? 0) > (usageOf(whole)?.input_tokens ?? 0));
  });

  it('gives what a schema asks for, and takes the answer back', async () => {
    const long = chat({ maxTokens: PLACE_TOKENS });
    const structured = long.withStructuredOutput(Place, { name: 'place', method: 'jsonSchema', includeRaw: true });
    const { parsed, raw } = await structured.invoke(prompt);
    assert.deepEqual(Place.parse(parsed), JSON.parse(raw.text));
    const next = await chat().invoke([new HumanMessage(prompt), raw, new HumanMessage('Go on.')]);
    assert.equal(usageOf(next)?.output_tokens, 8);
    assert.deepEqual(
      await long.withStructuredOutput(Place).invoke(prompt),
      parsed,
      'JSON schema is its own choice, too',
    );
  });

  it('works with the responses API', async () => {
    const options = { useResponsesApi: true, maxTokens: PLACE_TOKENS };
    const short = chat({ ...options, maxTokens: 8 });
    const whole = await short.invoke(prompt);
    let text = '';
    for await (const chunk of await short.stream(prompt)) text += chunk.text;
    assert.equal(text, whole.text);
    const next = await short.invoke([new HumanMessage(prompt), whole, new HumanMessage('Go on.')]);
    assert.equal(usageOf(next)?.output_tokens, 8);
    const structured = chat(options).withStructuredOutput(Place, { method: 'jsonSchema' });
    assert.ok(Place.safeParse(await structured.invoke(prompt)).success);
  });

  it('aborts: the engine stops at once', async () => {
    const numBefore = await numAborted(server, KEY);
    const controller = new AbortController();
    const stream = await chat({ maxTokens: MANY_TOKENS, modelKwargs: NO_END }).stream(prompt, {
      signal: controller.signal,
    });
    let numChunks = 0;
    await assert.rejects(async () => {
      for await (const chunk of stream) if (chunk.text !== '' && ++numChunks === 3) controller.abort();
    }, /abort/i);
    await untilAborted(numBefore);
  });

  it('throws with our message, and tools are refused', async () => {
    await assert.rejects(chat({ model: 'gpt-4' }).invoke(prompt), /'gpt-4' does not exist/);
    await assert.rejects(chat({ apiKey: 'another-key' }).invoke(prompt), /the API key is wrong/);
    const tool = { type: 'function', function: { name: 'feel', parameters: {} } };
    await assert.rejects(chat().bindTools([tool]).invoke(prompt), /calls no tools/);
  });
});
