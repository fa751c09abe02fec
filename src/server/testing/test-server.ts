import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import type { ErrorBody } from '../answer-schema.ts';
import { createServer, type CreateServerOptions, type KvantServer } from '../create-server-node.ts';

/** A server that listens, and ways to ask it. */
export interface TestServer extends KvantServer {
  readonly url: string;
  readonly port: number;
  post(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<Response>;
  /** The answer's body, which must be JSON with this status. */
  json<T>(path: string, body: unknown, status?: number): Promise<T>;
  /** Data of all events of a stream, `[DONE]` included. */
  events(path: string, body: object): Promise<string[]>;
}

export async function startServer(options: CreateServerOptions): Promise<TestServer> {
  const server = await createServer(options);
  await server.app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = server.app.server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const post: TestServer['post'] = (path, body, headers = {}) =>
    fetch(url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  return {
    ...server,
    ...{ url, port, post },
    json: async <T>(path: string, body: unknown, status = 200) => {
      const response = await post(path, body);
      const text = await response.text();
      assert.equal(response.status, status, text);
      return JSON.parse(text) as T;
    },
    events: async (path, body) => {
      const response = await post(path, { ...body, stream: true });
      assert.equal(response.status, 200);
      assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
      return eventData(await response.text());
    },
  };
}

/** Data of server-sent events. */
export function eventData(text: string): string[] {
  return [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => data);
}

/** Of events that are JSON: all but `[DONE]`. */
export function jsonOf<T>(events: readonly string[]): T[] {
  return events.filter((data) => data !== '[DONE]').map((data) => JSON.parse(data) as T);
}

/** The error that an answer tells of. */
export async function errorOf(response: Response): Promise<ErrorBody['error']> {
  assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
  const { error } = (await response.json()) as ErrorBody;
  assert.deepEqual(Object.keys(error), ['message', 'type', 'param', 'code']);
  return error;
}
