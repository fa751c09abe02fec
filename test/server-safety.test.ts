import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { load, type Model } from '../src/index.ts';
import type { CreateServerOptions } from '../src/server/create-server-node.ts';
import type { ErrorBody } from '../src/server/answer-schema.ts';
import type { CacheReport } from '../src/server/cache-report.ts';
import type { ChatCompletion } from '../src/server/chat-completion.ts';
import { errorOf, eventData, startServer, type TestServer } from '../src/server/testing/test-server.ts';
import { tinyModel } from './support/reference.ts';

/** Who may call the server, what it refuses, and what becomes of clients that leave, dawdle or are too many. */

const CHAT = '/v1/chat/completions';
const messages = [{ role: 'user', content: 'Tell me of the sea.' }];
/** Longer than a test; `logit_bias` bans the tokens that end a turn. */
const ENDLESS = { messages, temperature: 0, stream: true, logit_bias: { 0: -100, 1: -100, 2: -100 } };

let model: Model;
before(async () => {
  model = await load({ model: tinyModel('llama-d64.Q8_0.gguf'), maxSequences: 4, threads: 1 });
});
after(() => model.close());

/** Runs a test with a server of its own. */
async function withServer(
  options: Omit<CreateServerOptions, 'model'>,
  test: (server: TestServer) => Promise<void>,
): Promise<void> {
  const server = await startServer({ model, ...options });
  try {
    await test(server);
  } finally {
    await server.drain(0);
  }
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; !(await holds()); turn++) {
    assert.ok(turn < 1000, 'still waiting');
    await sleep(10);
  }
}

const running = async (): Promise<number> => {
  const { requests } = await model.stats();
  return requests.running + requests.waiting;
};

/** Asks for an answer without an end. */
function streamed(url: string, signal: AbortSignal, fields: object = {}): Promise<Response> {
  const body = JSON.stringify({ ...ENDLESS, ...fields });
  return fetch(url + CHAT, { method: 'POST', headers: { 'content-type': 'application/json' }, body, signal });
}

/** Sends bytes as they are. @returns all that comes back until the server closes the connection */
async function sendRaw(port: number, ...parts: readonly string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1').setEncoding('utf8');
  let text = '';
  socket.on('data', (data: string) => (text += data));
  socket.on('error', () => undefined);
  for (const part of parts) socket.write(part);
  await once(socket, 'close');
  return text;
}

describe('keys', () => {
  const keys = ['first-secret', 'second-secret'];

  it('open every route but liveness, as Bearer and as X-Api-Key', async () => {
    await withServer({ options: { apiKey: keys } }, async ({ app, url }) => {
      const routes = Object.keys(app.swagger().paths ?? {}).map((path) => path.replace('{model}', 'kvant'));
      assert.ok(routes.includes('/metrics') && routes.includes('/openapi.json'));
      for (const path of routes) {
        const bare = await fetch(url + path);
        assert.equal(bare.status, path === '/health/live' ? 200 : bare.status === 405 ? 405 : 401, path);
      }
      const asked = async (headers: Record<string, string>): Promise<number> =>
        (await fetch(`${url}/v1/models`, { headers })).status;
      assert.equal(await asked({ authorization: 'Bearer first-secret' }), 200);
      assert.equal(await asked({ authorization: 'bearer second-secret' }), 200);
      assert.equal(await asked({ 'x-api-key': 'second-secret' }), 200);
      for (const key of ['third-secret', 'first-secre', 'first-secret2', '', 'x'.repeat(5000)]) {
        assert.equal(await asked({ authorization: `Bearer ${key}` }), 401);
        assert.equal(await asked({ 'x-api-key': key }), 401);
      }
      assert.equal(await asked({ authorization: 'Basic first-secret' }), 401);
      const response = await fetch(`${url}/v1/models`);
      assert.equal(response.headers.get('www-authenticate'), 'Bearer');
      const error = await errorOf(response);
      assert.deepEqual(
        [error.code, error.message],
        ['invalid_api_key', 'no API key was sent: send one as "Authorization: Bearer KEY" or "X-Api-Key: KEY"'],
      );
    });
  });

  it('are checked before the body is read', async () => {
    await withServer({ options: { apiKey: keys } }, async ({ port }) => {
      const head =
        'POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n';
      const answer = await sendRaw(port, `${head}Connection: close\r\n\r\n{`);
      assert.match(answer, /^HTTP\/1\.1 401 /);
    });
  });

  it('keep caches, conversations and what is told of them apart', async () => {
    await withServer({ options: { apiKey: keys } }, async ({ url, post }) => {
      const long = [{ role: 'user', content: 'A secret of the first tenant alone. '.repeat(20) }];
      const ask = async (key: string, body: object): Promise<ChatCompletion> => {
        const headers = { authorization: `Bearer ${key}` };
        const answer = await post(CHAT, { temperature: 0, max_tokens: 2, ...body }, headers);
        return (await answer.json()) as ChatCompletion;
      };
      const cached = async (key: string): Promise<number> =>
        (await ask(key, { messages: long })).usage.prompt_tokens_details.cached_tokens;
      assert.equal(await cached(keys[0]), 0);
      assert.ok((await cached(keys[0])) >= 64);
      const cacheOf = async (key: string): Promise<CacheReport> =>
        (await (await fetch(`${url}/v1/cache`, { headers: { 'x-api-key': key } })).json()) as CacheReport;
      const [own, others] = [await cacheOf(keys[0]), await cacheOf(keys[1])];
      assert.ok(own.pages.by_state.kept > 0 && own.prefix_cache.hit_tokens > 0);
      assert.deepEqual([others.pages.strip, others.prefix_cache.queried_tokens], [[], 0]);
      assert.equal(await cached(keys[1]), 0, 'nothing of the first tenant is found');
      const kvant = { conversation: 'same name' };
      await ask(keys[0], { messages, kvant });
      assert.equal((await ask(keys[0], { messages, kvant })).kvant.turn, 2);
      assert.equal((await ask(keys[1], { messages, kvant })).kvant.turn, 1);
    });
  });

  it('open metrics, which are of all of them, only where one is for that', async () => {
    const status = async (url: string, path: string, key: string): Promise<number> =>
      (await fetch(url + path, { headers: { authorization: `Bearer ${key}` } })).status;
    await withServer({ options: { apiKey: keys } }, async ({ url }) => {
      assert.equal(await status(url, '/metrics', keys[0]), 403);
    });
    await withServer({ options: { apiKey: keys.slice(0, 1) } }, async ({ url }) => {
      assert.equal(await status(url, '/metrics', keys[0]), 200);
    });
    await withServer({ options: { apiKey: keys, metricsKey: 'metrics-secret' } }, async ({ url }) => {
      assert.equal(await status(url, '/metrics', 'metrics-secret'), 200);
      assert.equal(await status(url, '/health/ready', 'metrics-secret'), 200);
      assert.equal(await status(url, '/v1/models', 'metrics-secret'), 403);
      assert.equal(await status(url, '/metrics', keys[0]), 403);
    });
  });
});

describe('without a key', () => {
  it('the server answers to the names of this machine alone, and to no foreign page', async () => {
    await withServer({}, async ({ app, port }) => {
      const asked = async (headers: Record<string, string>): Promise<number | string | null> => {
        const { statusCode, body } = await app.inject({ url: '/v1/models', headers });
        return statusCode === 200 ? 200 : (JSON.parse(body) as ErrorBody).error.code;
      };
      for (const host of ['localhost', `127.0.0.1:${port}`, `[::1]:${port}`]) assert.equal(await asked({ host }), 200);
      for (const host of ['evil.example', 'localhost.evil.example:80', '127.0.0.1.nip.io']) {
        assert.equal(await asked({ host }), 'host_not_allowed');
      }
      const host = `localhost:${port}`;
      assert.equal(await asked({ host, origin: `http://localhost:${port}` }), 200);
      for (const origin of ['http://evil.example', 'http://localhost:1', 'null']) {
        assert.equal(await asked({ host, origin }), 'origin_not_allowed');
      }
    });
  });

  it('pages of an origin may call that --cors names', async () => {
    const origin = 'https://page.example';
    await withServer({ options: { cors: [origin] } }, async ({ app }) => {
      const headers = { host: 'localhost', origin, 'access-control-request-method': 'POST' };
      const preflight = await app.inject({ method: 'OPTIONS', url: CHAT, headers });
      assert.equal(preflight.statusCode, 204);
      assert.equal(preflight.headers['access-control-allow-origin'], origin);
      const answer = await app.inject({ url: '/v1/models', headers: { host: 'localhost', origin } });
      assert.deepEqual([answer.statusCode, answer.headers['access-control-allow-origin']], [200, origin]);
      const foreign = await app.inject({
        url: '/v1/models',
        headers: { host: 'localhost', origin: 'https://a.example' },
      });
      assert.equal(foreign.statusCode, 403);
    });
  });
});

describe('a full queue', () => {
  it('turns requests away with 429 and Retry-After, and takes them when there is room', async () => {
    await withServer({ options: { maxSequences: 1, maxQueue: 1 } }, async ({ url, post }) => {
      const leave = new AbortController();
      const streams = await Promise.all([streamed(url, leave.signal), streamed(url, leave.signal)]);
      assert.deepEqual(
        streams.map(({ status }) => status),
        [200, 200],
      );
      const refused = await post(CHAT, { messages });
      assert.equal(refused.status, 429);
      assert.equal(refused.headers.get('retry-after'), '1');
      const error = await errorOf(refused);
      assert.deepEqual([error.type, error.code], ['rate_limit_error', 'queue_full']);
      const many = await post(CHAT, { messages, n: 3 });
      assert.match(
        (await errorOf(many)).message,
        /^3 answers are more than this server takes at a time: .* at most 2$/,
      );
      leave.abort();
      await until(async () => (await running()) === 0);
      await until(async () => (await post(CHAT, { messages, max_tokens: 1 })).status === 200);
    });
  });
});

describe('clients that leave', () => {
  it('end their answers and free their pages, streamed or not', async () => {
    await withServer({}, async ({ url }) => {
      for (const stream of [true, false]) {
        const leave = new AbortController();
        streamed(url, leave.signal, { stream, n: 2 }).catch(() => undefined);
        await until(async () => (await running()) === 2);
        leave.abort();
        await until(async () => (await running()) === 0);
        const { byState } = (await model.stats()).pages;
        assert.deepEqual([byState.open, byState.sealed, byState.shared], [0, 0, 0]);
      }
    });
  });
});

describe('slow clients', () => {
  const patience = { headersMs: 200, requestMs: 400, slowReaderMs: 200 };

  it('that do not send their request to its end are told so and dropped', async () => {
    await withServer({ patience }, async ({ port }) => {
      const head = 'POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
      const answers = await Promise.all([
        sendRaw(port, 'GET /v1/models HTTP/1.1\r\nHost: loc'),
        sendRaw(port, `${head}Content-Length: 1000\r\n\r\n{"messages"`),
      ]);
      for (const answer of answers) {
        assert.match(answer, /^HTTP\/1\.1 408 Request Timeout\r\n/);
        assert.match(answer, /"code":"request_timeout"/);
      }
    });
  });

  it('that ask on and on, and read nothing, are dropped', async () => {
    await withServer({ patience }, async ({ app, port }) => {
      const connected = once(app.server, 'connection');
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.pause();
      const [served] = (await connected) as [Socket];
      // Far more than the system keeps of what is not read.
      socket.write('GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(1000));
      await once(served, 'close');
      socket.destroy();
    });
  });

  it('that do not read are dropped, and their answers end', async () => {
    await withServer({ patience }, async ({ app, port }) => {
      // Small buffers of the system, so that an answer fills them.
      app.server.on('connection', (socket: Socket) => socket.setNoDelay(true));
      const body = JSON.stringify({ ...ENDLESS, n: 4, logprobs: true, top_logprobs: 20 });
      const head = `POST ${CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`;
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.pause();
      socket.write(`${head}Content-Length: ${body.length}\r\n\r\n${body}`);
      await until(async () => (await running()) === 4);
      await until(async () => (await running()) === 0);
      socket.resume();
      await once(socket, 'close');
    });
  });
});

describe('bytes that are no request', () => {
  it('are answered with typed errors', async () => {
    await withServer({}, async ({ port, url }) => {
      assert.match(await sendRaw(port, 'nonsense\r\n\r\n'), /^HTTP\/1\.1 400 Bad Request\r\n[^]*"code":"bad_request"/);
      const headers = `X: ${'x'.repeat(20_000)}\r\n`;
      const large = await sendRaw(port, `GET /v1/models HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`);
      assert.match(large, /^HTTP\/1\.1 431 [^]*"code":"headers_too_large"/);
      const unexpected = await sendRaw(port, 'GET / HTTP/1.1\r\nHost: localhost\r\nExpect: more\r\n\r\n');
      assert.match(unexpected, /^HTTP\/1\.1 417 [^]*"code":"expectation_failed"/);
      const nameless = await sendRaw(port, 'GET /v1/models HTTP/1.1\r\nConnection: close\r\n\r\n');
      assert.match(nameless, /^HTTP\/1\.1 403 [^]*"code":"host_not_allowed"/);
      assert.equal((await errorOf(await fetch(`${url}/v1/models/%ff`))).code, 'bad_request');
      assert.equal((await fetch(`${url}/health/live`)).status, 200);
    });
  });
});

describe('a server that is told to end', () => {
  it('is not ready, takes nothing new, and lets answers come to their end', async () => {
    const server = await startServer({ model });
    const answer = await server.post(CHAT, { ...ENDLESS, max_tokens: 60 });
    const drained = server.drain(60_000);
    const [ready, live, refused] = await Promise.all([
      fetch(`${server.url}/health/ready`),
      fetch(`${server.url}/health/live`),
      server.post(CHAT, { messages }),
    ]);
    assert.deepEqual([ready.status, live.status, refused.status], [503, 200, 503]);
    assert.equal((await errorOf(refused)).code, 'server_shutting_down');
    assert.equal(eventData(await answer.text()).at(-1), '[DONE]');
    await drained;
    await assert.rejects(fetch(`${server.url}/health/live`));
  });

  it('aborts answers that take too long, and tells so in their streams', async () => {
    const server = await startServer({ model });
    const answer = await server.post(CHAT, ENDLESS);
    const drained = server.drain(50);
    const last = JSON.parse(eventData(await answer.text()).at(-1) ?? '') as ErrorBody;
    assert.equal(last.error.code, 'server_shutting_down');
    await drained;
    assert.equal(await running(), 0);
  });
});

describe('what the server tells', () => {
  it('of failures is nothing of their insides, which go to its log, and no prompt is there', async () => {
    const lines: string[] = [];
    const failing: Model = Object.create(model, {
      generate: { value: () => assert.fail('secret inside') },
      info: { value: model.info },
    }) as Model;
    const logger = { level: 'info', stream: { write: (line: string) => void lines.push(line) } };
    const server = await startServer({ model: failing, logger });
    const response = await server.post(
      CHAT,
      { messages },
      { 'x-request-id': 'my-request', authorization: 'Bearer hidden' },
    );
    assert.equal(response.status, 500);
    assert.equal(response.headers.get('x-request-id'), 'my-request');
    const text = await response.text();
    assert.equal((JSON.parse(text) as ErrorBody).error.code, 'internal_error');
    assert.doesNotMatch(text, /secret inside|node:|\.ts/);
    await server.drain(0);
    const log = lines.join('');
    assert.match(log, /secret inside/);
    assert.match(log, /"reqId":"my-request".*"route":"\/v1\/chat\/completions","status":500/);
    assert.doesNotMatch(log, /of the sea|hidden/);
  });
});
