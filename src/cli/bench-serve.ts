import type { AddressInfo } from 'node:net';
import { loadServer } from '../bench/serve-load.ts';
import { serveRow, type ServeRow } from '../bench/serve-report.ts';
import { KvantError } from '../errors.ts';
import type { CacheReport } from '../server/cache-report.ts';
import { createServer } from '../server/create-server-node.ts';
import type { BenchSession } from './bench-session.ts';
import { SERVE_LOAD_DEFAULTS, type SERVE_LOAD_FLAGS } from './bench-serve-flags.ts';
import type { CliContext } from './cli-context.ts';
import type { OptionsOf } from './cli-options.ts';
import { formatBytes, formatCount, formatFixed, formatQuantity } from './format.ts';
import { definedOnly, loadModel } from './load-model.ts';

export type ServeLoadCliOptions = OptionsOf<typeof SERVE_LOAD_FLAGS>;

/** Load on a server, as `--json` prints it. */
export interface ServeLoadSection {
  readonly model: string;
  readonly settings: {
    readonly kv: string;
    readonly users: number;
    readonly seconds: number;
    readonly leave_share: number;
    readonly max_tokens: number;
  };
  readonly serve: ServeRow & {
    /** What the server's process has resident, as `/metrics` tells it; null where it tells nothing. */
    readonly rss_bytes: { readonly start: number | null; readonly middle: number | null; readonly end: number | null };
    /** What the server still has when all clients have gone: all of it but `kept` should be 0. */
    readonly left_over: CacheReport['requests'] & CacheReport['pages']['by_state'];
  };
}

/** A server and who asks it. */
interface Target {
  readonly url: string;
  readonly apiKey?: string | undefined;
  readonly close: () => Promise<void>;
}

/** Code is compiled and memory touched before anything counts. */
const WARM_UP = { seconds: 0.001, leaveShare: 0, seed: 1_000_003 };
const SEED = 1;

/**
 * Lets streaming clients load a server, some of which leave midway, and prints how it fared.
 *
 * @throws KvantError FILE_ERROR where the server does not tell of its cache, and what `load` throws
 */
export async function benchServe(
  options: ServeLoadCliOptions,
  session: BenchSession,
  context: CliContext,
): Promise<ServeLoadSection> {
  const given = { ...SERVE_LOAD_DEFAULTS, ...definedOnly(options) };
  const { users, seconds, leaveShare, maxTokens } = given;
  const target = options.url === undefined ? await startServer(options, session, context) : runningServer(options);
  const { signal } = session;
  const load = { ...target, ...{ users, seconds, leaveShare, maxTokens, signal, seed: SEED } };
  try {
    const { model } = await cacheOf(target);
    session.progress(() => 'warming up');
    await loadServer({ ...load, ...WARM_UP });
    session.progress(() => `${formatQuantity(users, 'client')} for ${formatQuantity(seconds, 'second')}`);
    const start = await residentBytes(target);
    const half = new Promise((resolve) => setTimeout(resolve, seconds * 500)).then(() => residentBytes(target));
    const [row, middle] = await Promise.all([loadServer(load).then(serveRow), half]);
    const leftOver = await leftOvers(target);
    const serve = { ...row, rss_bytes: { start, middle, end: await residentBytes(target) }, left_over: leftOver };
    const settings = { kv: model.kv, users, seconds, leave_share: leaveShare, max_tokens: maxTokens };
    const section = { model: model.name, settings, serve };
    await session.print(linesOf(section));
    return section;
  } finally {
    await target.close();
  }
}

async function startServer(options: ServeLoadCliOptions, session: BenchSession, context: CliContext): Promise<Target> {
  const { model: path, kv, calibration, threads, backend, json } = options;
  const { users = SERVE_LOAD_DEFAULTS.users, maxTokens = SERVE_LOAD_DEFAULTS.maxTokens } = options;
  const ctx = Math.max(SERVE_LOAD_DEFAULTS.ctx, 2 * maxTokens);
  const model = await loadModel(
    definedOnly({ model: path, kv, calibration, threads, backend, json, ctx, maxSequences: users }),
    context,
    session.signal,
  );
  const server = await createServer({ model, options: { maxSequences: users } });
  const close = async (): Promise<void> => {
    await server.drain(0);
    await model.close();
  };
  try {
    await session.title(model.info);
    await server.app.listen({ host: '127.0.0.1', port: 0 });
  } catch (error) {
    await close();
    throw error;
  }
  return { url: `http://127.0.0.1:${(server.app.server.address() as AddressInfo).port}`, close };
}

function runningServer({ url = '', apiKey }: ServeLoadCliOptions): Target {
  return { url: url.replace(/\/+$/, ''), apiKey, close: async () => undefined };
}

function get({ url, apiKey }: Target, path: string): Promise<Response> {
  return fetch(url + path, { headers: { ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }) } });
}

/** @throws KvantError FILE_ERROR */
async function cacheOf(target: Target): Promise<CacheReport> {
  let reason: string;
  try {
    const response = await get(target, '/v1/cache');
    if (response.ok) return (await response.json()) as CacheReport;
    reason = `${response.status} ${await response.text()}`;
  } catch (error) {
    reason = String(error);
  }
  const message = `the server at ${target.url} tells nothing of its cache (${reason}): is it "kvant serve", and the key right?`;
  throw new KvantError('FILE_ERROR', message);
}

async function residentBytes(target: Target): Promise<number | null> {
  const response = await get(target, '/metrics');
  const found = /^process_resident_memory_bytes(?:\{.*\})? (\S+)$/m.exec(await response.text());
  return response.ok && found ? Number(found[1]) : null;
}

const LOOKS = 100;
const LOOK_MS = 50;

/** Clients that left are noticed between two steps: looks until nothing is left, or for five seconds. */
async function leftOvers(target: Target): Promise<ServeLoadSection['serve']['left_over']> {
  for (let look = 1; ; look++) {
    const { requests, pages } = await cacheOf(target);
    const left = { ...requests, ...pages.by_state };
    const { running, waiting, open, sealed, shared } = left;
    if (look === LOOKS || running + waiting + open + sealed + shared === 0) return left;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

function linesOf({ settings, serve }: ServeLoadSection): string {
  const ms = (value: number | null): string => (value === null ? '-' : `${formatFixed(value, 1)} ms`);
  const bytes = (value: number | null): string => (value === null ? '-' : formatBytes(value));
  const { rss_bytes: rss, left_over: left } = serve;
  const lines = [
    `${formatQuantity(settings.users, 'client')}, ${formatFixed(serve.wall_ms / 1000, 1)} s, ${settings.kv}`,
    `requests            ${formatCount(serve.requests)}, of which ${formatCount(serve.left)} left midway`,
    `errors              ${formatCount(serve.errors)}`,
    ...serve.error_messages.map((message) => `                    ${message}`),
    `tokens a second     ${formatFixed(serve.tokens_per_second, 1)}`,
    `first token         p50 ${ms(serve.ttft_ms_p50)}, p99 ${ms(serve.ttft_ms_p99)}`,
    `between tokens      p50 ${ms(serve.itl_ms_p50)}, p99 ${ms(serve.itl_ms_p99)}`,
    `resident memory     ${bytes(rss.start)} at the start, ${bytes(rss.middle)} in the middle, ${bytes(rss.end)} at the end`,
    `left at the end     requests ${left.running + left.waiting}, pages in use ${left.open + left.sealed + left.shared}, kept ${left.kept}`,
  ];
  return `${lines.join('\n')}\n`;
}
