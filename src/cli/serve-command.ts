import { readFile } from 'node:fs/promises';
import { fileErrorReason, KvantError } from '../errors.ts';
import type { Planner } from '../engine/plan-node.ts';
import type { Model } from '../engine/types.ts';
import { createServer, type KvantServer } from '../server/create-server-node.ts';
import { openServedPlanner, servedKvMemory } from '../server/served-kv-memory-node.ts';
import { checkServeSafety, parseServeFile, SERVE_DEFAULTS, type ServeOptions } from '../server/serve-options.ts';
import { findWebFolder } from '../server/web-folder-node.ts';
import type { CliContext } from './cli-context.ts';
import { parseFlags, type GivenFlag } from './cli-options.ts';
import { EXIT } from './exit-code.ts';
import { Interruptible } from './interrupts.ts';
import { definedOnly, loadModel } from './load-model.ts';
import { SERVE_FLAGS } from './serve-flags.ts';

/**
 * Serves a model over HTTP until a signal comes; then answers under way may come to their end. A second signal ends the process at once.
 *
 * @returns the exit code
 * @throws KvantError INVALID_OPTION, FILE_ERROR, what `load` throws, and SERVER_FAILED where the address cannot be listened on
 */
export async function serveCommand(given: Readonly<Record<string, GivenFlag>>, context: CliContext): Promise<number> {
  const options = await readOptions(given, context);
  checkServeSafety(options);
  const prefix = options.publicPrefix === undefined ? undefined : await readText(options.publicPrefix);
  const interruptible = new Interruptible(context.interrupts);
  const { signal } = interruptible;
  try {
    const planner = await openServedPlanner(options);
    const model = await loadServed(options, planner, context, signal);
    try {
      if (prefix !== undefined) {
        await model.declarePublicPrefix({ messages: [{ role: 'system', content: prefix }] });
      }
      await serve({ model, planner, options }, context, signal);
    } finally {
      await model.close();
    }
    return EXIT.ok;
  } catch (error) {
    if (signal.aborted && interruptible.exitCode !== undefined) return interruptible.exitCode;
    throw error;
  } finally {
    interruptible.end();
  }
}

interface Served {
  readonly model: Model;
  readonly planner: Planner;
  readonly options: ServeOptions;
}

async function serve(served: Served, { stderr }: CliContext, signal: AbortSignal): Promise<void> {
  const { model, options } = served;
  const { logLevel = stderr.isTTY ? 'warn' : 'info', drainSeconds = SERVE_DEFAULTS.drainSeconds } = options;
  const logger = { level: logLevel, stream: stderr };
  const server = await createServer({ ...served, logger, webFolder: await findWebFolder() });
  const address = await listen(server, options);
  if (stderr.isTTY) stderr.write(banner(address, model));
  else server.app.log.info({ address, model: model.info.name, kv: model.info.kvFormat }, 'listening');
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  server.app.log.info({ drainSeconds }, 'shutting down');
  await server.drain(drainSeconds * 1000);
}

async function listen({ app }: KvantServer, { host, port }: ServeOptions): Promise<string> {
  const place = { host: host ?? SERVE_DEFAULTS.host, port: port ?? SERVE_DEFAULTS.port };
  try {
    return await app.listen(place);
  } catch (error) {
    const message = `cannot listen on ${place.host}, port ${place.port}: ${fileErrorReason(error)}; choose another --port or --host`;
    throw new KvantError('FILE_ERROR', message, { cause: error });
  }
}

function banner(address: string, { info }: Model): string {
  return `kvant: ${info.name} with a ${info.kvFormat} cache, ${info.ctx} tokens of context\nkvant: listening on ${address} (API at ${address}/v1); Ctrl-C ends\n`;
}

async function loadServed(
  options: ServeOptions,
  planner: Planner,
  context: CliContext,
  signal: AbortSignal,
): Promise<Model> {
  const maxSequences = options.maxSequences ?? SERVE_DEFAULTS.maxSequences;
  const { kv, kvMemory } = await servedKvMemory({ ...options, maxSequences }, planner);
  return loadModel(definedOnly({ ...options, maxSequences, kv, kvMemory }), context, signal);
}

/** Flags go before the environment, and both before the file. */
async function readOptions(given: Readonly<Record<string, GivenFlag>>, { env }: CliContext): Promise<ServeOptions> {
  const { config, ...flags } = parseFlags(SERVE_FLAGS, given);
  const keys = env['KVANT_API_KEYS'];
  const fromEnv =
    flags.apiKey === undefined && keys
      ? parseFlags(SERVE_FLAGS, { apiKey: { value: keys.split(','), source: 'env' } })
      : {};
  const fromFile = config === undefined ? {} : parseServeFile(await readText(config), `the file ${config}`);
  return definedOnly({ ...fromFile, ...fromEnv, ...flags });
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new KvantError('FILE_ERROR', `cannot read "${path}": ${fileErrorReason(error)}`, { cause: error });
  }
}
