import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { load, type Model } from '../src/index.ts';
import { eventData, startServer, type TestServer } from '../src/server/testing/test-server.ts';
import { tinyModel } from './support/reference.ts';

/** The OpenAPI document against the routes: each has the other's, and answers are as it says. */

interface Content {
  readonly [type: string]: { readonly schema: object };
}

interface Document {
  readonly openapi: string;
  readonly paths: Readonly<
    Record<
      string,
      Readonly<
        Record<
          string,
          {
            readonly responses: Readonly<Record<string, { readonly content?: Content }>>;
            readonly requestBody?: { readonly content: Content };
          }
        >
      >
    >
  >;
}

let model: Model;
let server: TestServer;
let document: Document;
before(async () => {
  model = await load({ model: tinyModel('llama-d64.Q8_0.gguf'), ctx: 512, maxSequences: 2, threads: 1 });
  server = await startServer({ model });
  document = (await (await fetch(`${server.url}/openapi.json`)).json()) as Document;
});
after(async () => {
  await server.drain(0);
  await model.close();
});

/** Refuses answers that are not as the document says of a route. */
function check(method: string, path: string, status: string, type: string, answer: unknown): void {
  const schema = document.paths[path][method].responses[status]?.content?.[type]?.schema;
  assert.ok(schema, `${method} ${path} says nothing of ${status} ${type}`);
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  assert.ok(ajv.validate(schema, answer), `${method} ${path}: ${ajv.errorsText()}`);
}

describe('the OpenAPI document', () => {
  it('has every route, and every route is in it', () => {
    assert.equal(document.openapi, '3.1.0');
    const inDocument = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`),
    );
    // Fastify answers HEAD wherever it answers GET.
    const served = [...server.routes].flatMap(([path, methods]) =>
      methods.filter((method) => method !== 'HEAD').map((method) => `${method} ${path}`),
    );
    assert.deepEqual(inDocument.toSorted(), served.toSorted());
    assert.ok(served.length >= 13);
  });

  it('says what routes answer', async () => {
    for (const path of ['/health/live', '/health/ready', '/v1/models', '/v1/cache', '/v1/plan', '/openapi.json']) {
      const response = await fetch(server.url + path);
      check('get', path, String(response.status), 'application/json', await response.json());
    }
    const one = await fetch(`${server.url}/v1/models/kvant`);
    check('get', '/v1/models/{model}', '200', 'application/json', await one.json());
    const missing = await fetch(`${server.url}/v1/models/other`);
    check('get', '/v1/models/{model}', '4XX', 'application/json', await missing.json());
  });

  const messages = [{ role: 'user', content: 'Tell me of the sea.' }];
  const answers: readonly (readonly [path: string, body: object])[] = [
    ['/v1/chat/completions', { messages, n: 2, max_tokens: 3, logprobs: true, top_logprobs: 1 }],
    ['/v1/chat/completions', { messages, max_tokens: 3, kvant: { conversation: 'a' } }],
    ['/v1/completions', { prompt: 'The sea', max_tokens: 3, logprobs: 1 }],
    ['/v1/responses', { input: 'The sea', max_output_tokens: 3 }],
    ['/v1/tokenize', { input: 'The sea' }],
    ['/v1/detokenize', { tokens: [300] }],
  ];
  for (const [path, body] of answers) {
    it(`says what ${path} takes and answers to ${JSON.stringify(body).slice(0, 60)}`, async () => {
      const schema = document.paths[path]['post'].requestBody?.content['application/json'].schema;
      assert.ok(schema);
      assert.ok(new Ajv2020({ strict: false }).validate(schema, body));
      assert.ok(!new Ajv2020({ strict: false }).validate(schema, { ...body, nonsense: 1 }));
      check('post', path, '200', 'application/json', await server.json(path, body));
      check('post', path, '4XX', 'application/json', await server.json(path, { ...body, nonsense: 1 }, 400));
    });
  }

  it('says what events are', async () => {
    for (const [path, body] of answers.slice(0, 4)) {
      const usage = path === '/v1/responses' ? {} : { stream_options: { include_usage: true } };
      const events = await server.events(path, { ...body, ...usage });
      for (const data of eventData(events.map((event) => `data: ${event}`).join('\n'))) {
        if (data !== '[DONE]') check('post', path, '200', 'text/event-stream', JSON.parse(data));
      }
    }
  });
});
