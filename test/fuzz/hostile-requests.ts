import { BODIES, hostileBody, spoiltBytes } from './hostile-json.ts';
import type { Random } from './random.ts';
import type { Part, SendOptions } from './raw-http.ts';

/** Something that is done to a server, and what may come of it. */
export interface HostileCase extends SendOptions {
  readonly kind: string;
  readonly parts: readonly Part[];
  /** Whether the connection may end without any answer. */
  readonly mayBeSilent?: boolean;
}

const POSTS = Object.keys(BODIES);
const GETS = [
  ...['/v1/models', '/v1/models/kvant', '/v1/cache', '/health/live', '/health/ready', '/metrics', '/openapi.json'],
  ...['/v1/plan', '/v1/plan?ctx=64', '/'],
];
const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS', 'TRACE', 'PROPFIND', 'SEARCH', 'get', 'X'];

interface Head {
  readonly method?: string;
  readonly path: string;
  readonly headers?: readonly string[];
  readonly version?: string;
}

function head({ method = 'POST', path, headers = [], version = 'HTTP/1.1' }: Head): string {
  const all = ['Host: localhost', 'Connection: close', ...headers];
  return `${method} ${path} ${version}\r\n${all.join('\r\n')}\r\n\r\n`;
}

function post(path: string, body: Uint8Array | string, headers: readonly string[] = []): Part[] {
  const all = ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`, ...headers];
  return [head({ path, headers: all }), body];
}

type Maker = (random: Random) => HostileCase;

const spoiltFields: Maker = (random) => {
  const path = random.pick(POSTS);
  return { kind: 'fields', parts: post(path, hostileBody(random, path)) };
};

const spoiltBody: Maker = (random) => {
  const path = random.pick(POSTS);
  return { kind: 'bytes', parts: post(path, spoiltBytes(random, Buffer.from(JSON.stringify(BODIES[path])))) };
};

const noObject: Maker = (random) => {
  const deep = random.pick([50, 100_000]);
  const body = random.pick([
    ...['', ' ', 'null', '[]', '"a"', '1', 'true', '{', '}', '{}', '{"a"', "{'a':1}", '{"messages":}', '\0', '[,]'],
    ...['['.repeat(deep), '[' + '[],'.repeat(deep) + '[]]', '{"a":'.repeat(deep) + '1' + '}'.repeat(deep), '{"a":1,}'],
  ]);
  return { kind: 'no object', parts: post(random.pick(POSTS), body) };
};

const contentTypes: Maker = (random) => {
  const path = random.pick(POSTS);
  const headers = random.pick([
    [],
    ['Content-Type:'],
    ['Content-Type: text/plain'],
    ['Content-Type: application/xml'],
    ['Content-Type: application/json; charset=utf-16'],
    ['Content-Type: application/json; charset="'],
    ['Content-Type: multipart/form-data; boundary=a'],
    ['Content-Type: application/x-www-form-urlencoded'],
    ['Content-Type: application/json', 'Content-Type: text/plain'],
    ['Content-Type: application/json', 'Content-Encoding: gzip'],
    ['Content-Type: application/json', 'Content-Encoding: br, br, br'],
    ['Content-Type: application/__proto__'],
    [`Content-Type: ${'a/'.repeat(2000)}`],
  ]);
  const body = '{"messages":[{"role":"user","content":"a"}],"max_tokens":1}';
  return {
    kind: 'content type',
    parts: [head({ path, headers: [...headers, `Content-Length: ${body.length}`] }), body],
  };
};

const methodsAndPaths: Maker = (random) => {
  const suffix = random.pick([
    '',
    '',
    '/',
    '?',
    '?a=%',
    '/..',
    '/%00',
    '/%2e%2e%2f',
    '%',
    '//',
    '#a',
    '?__proto__[a]=1',
    `?${'a'.repeat(8000)}`,
  ]);
  const path = random.pick([
    ...[...POSTS, ...GETS].map((known) => known + suffix),
    ...[
      '*',
      '/%',
      '/%ff',
      '/%c0%ae',
      `/${'a'.repeat(3000)}`,
      '/v1/models/%E0%A4%A',
      '/__proto__',
      '/constructor',
      '//',
      '/\\',
    ],
    ...[
      '/../../etc/passwd',
      '/..%2f..%2fetc/passwd',
      '/assets/../../package.json',
      `/v1/models/${'m'.repeat(500)}`,
      'http://other/',
    ],
    ...[
      '/v1/plan?ctx=-1',
      '/v1/plan?ctx=1e99',
      '/v1/plan?ctx=NaN',
      '/v1/plan?ctx=1&ctx=2',
      '/v1/plan?memory=1YB',
      '/v1/plan?users=1e9',
    ],
    ...[
      '/v1/plan?memory=99999999999GB',
      '/v1/plan?ctx=9007199254740993',
      '/v1/plan?memory=-1',
      '/v1/plan?memory=0',
      '/v1/plan?a=1',
    ],
    ...[
      '/v1/plan?memory=1e400',
      '/v1/plan?ctx=0x10',
      '/v1/plan?ctx=',
      '/v1/plan?users=0&memory=%00',
      '/v1/cache?tenant=other',
    ],
  ]);
  const method = random.pick(METHODS);
  const version = random.chance(0.95) ? 'HTTP/1.1' : random.pick(['HTTP/1.0', 'HTTP/2.0', 'HTTP/9.9', 'HTTP/1.1x', '']);
  return { kind: 'method and path', parts: [head({ method, path, version })], isHead: method === 'HEAD' };
};

const headers: Maker = (random) => {
  const path = random.pick(GETS);
  const hostile = random.pick([
    [`X-A: ${'x'.repeat(random.pick([1000, 15_000, 20_000, 200_000]))}`],
    Array.from({ length: random.pick([100, 3000]) }, (_, i) => `X-${i}: ${i}`),
    ['X-Request-Id: \u0001'],
    ['X-Request-Id: ' + 'a'.repeat(500)],
    ['X-A: a\r\n b'],
    ['X-A: a\0b'],
    [': no name'],
    ['no colon'],
    ['X A: b'],
    ['Host: evil.example'],
    ['Origin: null'],
    ['Origin: http://['],
    ['Origin: javascript:alert(1)'],
    ['Expect: 100-continue'],
    ['Expect: something'],
    ['Upgrade: websocket', 'Connection: Upgrade'],
    ['Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__', 'Connection: Upgrade, HTTP2-Settings'],
    ['Authorization: Bearer'],
    [`Authorization: Bearer ${'k'.repeat(5000)}`],
    ['X-Api-Key: \u00ff'],
    ['Accept-Encoding: gzip;q=NaN'],
    ['If-None-Match: *', 'Range: bytes=0-1,5-'],
    ['__proto__: a', 'constructor: b'],
    ['Connection: __proto__'],
    ['TE: trailers', 'Trailer: X-A'],
    ['X-Forwarded-For: 1.2.3.4', 'Forwarded: for=evil', 'X-HTTP-Method-Override: DELETE', 'Accept-Version: 9'],
  ]);
  return { kind: 'headers', parts: [head({ method: 'GET', path, headers: hostile })] };
};

const lengths: Maker = (random) => {
  const path = random.pick(POSTS);
  const json = 'Content-Type: application/json';
  const body = '{"input":"a"}';
  const hostile = random.pick<readonly [readonly string[], string]>([
    [['Content-Length: -1'], body],
    [['Content-Length: x'], body],
    [['Content-Length: 1e3'], body],
    [['Content-Length: 99999999999999999999'], body],
    [['Content-Length: 4000001'], body],
    [['Content-Length: 0'], ''],
    [['Content-Length: 5'], body],
    [['Content-Length: 13', 'Content-Length: 14'], body],
    [['Content-Length: 13', 'Transfer-Encoding: chunked'], body],
    [['Transfer-Encoding: chunked'], `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`],
    [['Transfer-Encoding: chunked'], 'zz\r\n'],
    [['Transfer-Encoding: chunked'], 'ffffffffffffffff\r\na\r\n'],
    [['Transfer-Encoding: chunked'], `1;${'x'.repeat(20_000)}\r\n{\r\n0\r\n\r\n`],
    [['Transfer-Encoding: chunked'], `1\r\n{\r\n0\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`],
    [['Transfer-Encoding: gzip, chunked'], '0\r\n\r\n'],
    [['Transfer-Encoding: identity'], body],
    [['Transfer-Encoding: chunked, identity'], body],
    [[], body],
  ]);
  return { kind: 'length', parts: [head({ path, headers: [json, ...hostile[0]] }), hostile[1]] };
};

const noHttp: Maker = (random) => {
  const bytes = random.pick<Uint8Array | string>([
    random.bytes(1 + random.below(300)),
    '\r\n\r\n',
    'nonsense\r\n\r\n',
    'GET /v1/models\r\n\r\n',
    'GET /v1/models HTTP/1.1\r\n\r\n',
    'GET /v1/models HTTP/1.1\r\nConnection: close\r\n\r\n',
    'CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    Uint8Array.from([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3]),
    `${'A'.repeat(20_000)}`,
    `GET /${'a'.repeat(70_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
  ]);
  // What may still become a request would be waited for.
  return { kind: 'no HTTP', parts: [bytes, 20], leaves: true, mayBeSilent: true };
};

const pipelined: Maker = (random) => {
  const path = random.pick(GETS);
  const good = `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
  const [posted, body] = post(random.pick(POSTS), '{"input":');
  const last = random.pick<Part>([
    random.bytes(50),
    'x\r\n\r\n',
    head({ method: 'GET', path }),
    'GET / HTTP/1.1\r\n: \r\n\r\n',
  ]);
  const keptOpen = String(posted).replace('Connection: close\r\n', '');
  return {
    kind: 'pipelined',
    parts: [good.repeat(1 + random.below(5)), keptOpen, body, last, 'x\r\n\r\n'],
    mayBeSilent: true,
  };
};

const leavesEarly: Maker = (random) => {
  const path = random.pick(POSTS.slice(0, 3));
  const body = JSON.stringify({
    ...(path === '/v1/chat/completions' && {
      messages: [{ role: 'user', content: 'Tell me of the sea.' }],
      n: 1 + random.below(3),
    }),
    ...(path === '/v1/completions' && { prompt: 'Once upon a time' }),
    ...(path === '/v1/responses' && { input: 'Tell me of the sea.' }),
    stream: random.chance(0.5),
  });
  const parts = post(path, body);
  const [first, second] = [String(parts[0]), String(parts[1])];
  const half = random.below(second.length);
  const sent = random.pick<Part[]>([
    [first.slice(0, random.below(first.length))],
    [first, second.slice(0, half)],
    [first, second.slice(0, half), random.below(10), second.slice(half)],
    [first, second, random.below(30)],
  ]);
  return { kind: 'leaves', parts: sent, leaves: true, mayBeSilent: true };
};

/** Takes as long as the server lets it. */
const slowSender: Maker = (random) => {
  const [first, body] = post(random.pick(POSTS), `{"input":"${'a'.repeat(200)}"}`);
  const letters = random.chance(0.5) ? String(first).slice(0, -2) : `${String(first)}${String(body).slice(0, 40)}`;
  const start = letters.length - 20;
  const slow = Array.from(letters.slice(start, start + 20), (letter) => [letter, 1000] as const).flat();
  return { kind: 'slow', parts: [letters.slice(0, start), ...slow] };
};

const tooLarge: Maker = (random) => {
  const size = random.pick([1_000_000, 3_999_000, 4_000_001, 6_000_000]);
  const filler = random.pick(['a', ' ', '[', '\\u0000', '"', '0,']);
  const body = `{"input":"${filler.repeat(size / filler.length)}"}`;
  return { kind: 'large', parts: post(random.pick(POSTS), body), mayBeSilent: true };
};

/** Each with its share in the whole. */
const MAKERS: readonly (readonly [Maker, number])[] = [
  [spoiltFields, 50],
  [spoiltBody, 12],
  [noObject, 4],
  [contentTypes, 5],
  [methodsAndPaths, 10],
  [headers, 6],
  [lengths, 4],
  [noHttp, 2],
  [pipelined, 2],
  [leavesEarly, 4],
  [slowSender, 0.4],
  [tooLarge, 0.3],
];
const TOTAL = MAKERS.reduce((sum, [, share]) => sum + share, 0);

export function hostileCase(random: Random): HostileCase {
  let left = (random.below(1_000_000) / 1_000_000) * TOTAL;
  for (const [make, share] of MAKERS) {
    left -= share;
    if (left < 0) return make(random);
  }
  return spoiltFields(random);
}
