import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import fastifyCors from '@fastify/cors';
import fastify, { LogController, type FastifyInstance, type FastifyServerOptions } from 'fastify';
import { openPlanner, type Planner } from '../engine/plan-node.ts';
import type { Model } from '../engine/types.ts';
import { kvantVersion } from '../engine/version-node.ts';
import { addAccess } from './access-node.ts';
import { addBodyCheck } from './body-check.ts';
import { addCacheRoutes } from './cache-routes.ts';
import { nowSeconds } from './chat-completion.ts';
import { addChatRoutes } from './chat-routes.ts';
import { answerClientError, answerExpectation } from './client-errors-node.ts';
import { addCompletionRoutes } from './completion-routes.ts';
import { Conversations, type ConversationLimits } from './conversations.ts';
import { addDocument } from './document.ts';
import { addErrorAnswers, answerFrameworkError, type RouteMethods } from './error-answers.ts';
import { addHealthRoutes } from './health-routes.ts';
import { LIMITS, type Patience } from './limits.ts';
import { ServerMetrics } from './metrics-node.ts';
import { addMetricsRoutes } from './metrics-routes.ts';
import { addModelRoutes } from './model-routes.ts';
import { modelIdOf } from './model-name.ts';
import { addPage, addSecurityHeaders } from './page-node.ts';
import { addResponseRoutes } from './response-routes.ts';
import { addRequestLog } from './request-log.ts';
import { RequestGate } from './request-gate.ts';
import { CONVERSATION_LIMITS, SERVE_DEFAULTS, type ServeOptions } from './serve-options.ts';
import type { ServerContext } from './server-context.ts';
import { dropSlowReaders } from './slow-readers-node.ts';
import { addTokenRoutes } from './token-routes.ts';

/** What a server needs of its options; the rest has gone into the model. */
export type ServerSettings = Pick<
  ServeOptions,
  | 'apiKey'
  | 'metricsKey'
  | 'cors'
  | 'maxSequences'
  | 'maxQueue'
  | 'maxQueuePerKey'
  | 'maxTokens'
  | 'temperature'
  | 'name'
>;

export interface CreateServerOptions {
  readonly model: Model;
  readonly options?: ServerSettings;
  /** Folder of the built page; none is served where absent. */
  readonly webFolder?: string | undefined;
  /** Of the model, where one is there already. */
  readonly planner?: Planner | undefined;
  /** Fastify's logger. Default: nothing is logged. */
  readonly logger?: Exclude<FastifyServerOptions['logger'], undefined>;
  readonly conversationLimits?: ConversationLimits;
  /** Shorter than usual, for tests. */
  readonly patience?: Partial<Patience>;
}

/** A server that does not listen yet. */
export interface KvantServer {
  readonly app: FastifyInstance;
  readonly routes: RouteMethods;
  /**
   * Takes no more requests, waits for the answers under way, aborts those that take longer, and closes all connections. The model stays.
   *
   * @param deadlineMs how long answers may take
   */
  drain(deadlineMs: number): Promise<void>;
}

/** The server of a loaded model: all routes, and who may call them. It listens when `app.listen` is called. */
export async function createServer(options: CreateServerOptions): Promise<KvantServer> {
  const { options: settings = {}, webFolder, logger = false } = options;
  const patience = { ...LIMITS, ...options.patience };
  const app = fastify(fastifyOptions(logger, patience));
  app.server.maxConnections = LIMITS.connections;
  app.server.on('checkExpectation', answerExpectation);
  const { apiKey: apiKeys = [], metricsKey, cors: corsOrigins = [] } = settings;
  const context = await createContext(app, options, patience);
  const routes = addErrorAnswers(app);
  addRequestLog(app);
  addSecurityHeaders(app);
  dropSlowReaders(app, patience.slowReaderMs);
  forgetConversations(app, context);
  // Before the keys: a browser asks without one whether it may send one.
  if (corsOrigins.length > 0) await app.register(fastifyCors, corsOptions(corsOrigins));
  addAccess(app, { apiKeys, metricsKey, corsOrigins });
  addBodyCheck(app);
  await addDocument(app, context.version);
  addRoutes(app, context);
  if (webFolder !== undefined) await addPage(app, webFolder);
  return { app, routes, drain: (deadlineMs) => drain(app, context, deadlineMs) };
}

/** Forgets idle conversations also while nobody has any. */
function forgetConversations(app: FastifyInstance, { conversations }: ServerContext): void {
  const timer = setInterval(() => conversations.forgetIdle(), FORGET_EVERY_MS).unref();
  app.addHook('onClose', async () => clearInterval(timer));
}

const FORGET_EVERY_MS = 60_000;

async function createContext(
  app: FastifyInstance,
  { model, options: settings = {}, planner, conversationLimits = CONVERSATION_LIMITS }: CreateServerOptions,
  { slowReaderMs }: Patience,
): Promise<ServerContext> {
  const modelId = settings.name ?? modelIdOf(model.info.path);
  let plans = planner && Promise.resolve(planner);
  return {
    ...{ model, modelId, slowReaderMs, version: await kvantVersion(), running: new Set(), log: app.log },
    startedAt: nowSeconds(),
    answers: {
      maxTokens: Math.min(settings.maxTokens ?? SERVE_DEFAULTS.maxTokens, model.info.ctx),
      temperature: settings.temperature ?? SERVE_DEFAULTS.temperature,
    },
    gate: new RequestGate(gateOptions(settings)),
    conversations: new Conversations(model, conversationLimits),
    metrics: new ServerMetrics({ modelName: modelId }),
    planner: () => (plans ??= openPlanner({ model: model.info.path, backend: model.info.backend.name })),
  };
}

function addRoutes(app: FastifyInstance, context: ServerContext): void {
  addHealthRoutes(app, context);
  addModelRoutes(app, context);
  addChatRoutes(app, context);
  addTokenRoutes(app, context);
  addCompletionRoutes(app, context);
  addResponseRoutes(app, context);
  addCacheRoutes(app, context);
  addMetricsRoutes(app, context);
}

/** How long the last bytes of answers may take to leave. */
const CLOSING_MS = 500;

async function drain(
  app: FastifyInstance,
  { gate, running, conversations }: ServerContext,
  deadlineMs: number,
): Promise<void> {
  gate.close();
  const timer = setTimeout(() => {
    for (const controller of running) controller.abort();
  }, deadlineMs);
  await gate.empty();
  clearTimeout(timer);
  const closed = app.close();
  // Nobody waits for an answer any more: what is still open are connections that clients keep, or do not read.
  const closing = setTimeout(() => app.server.closeAllConnections(), CLOSING_MS);
  await closed;
  clearTimeout(closing);
  await conversations.clear();
}

function gateOptions({ apiKey = [], maxSequences, maxQueue, maxQueuePerKey }: ServerSettings) {
  const most = maxQueue ?? SERVE_DEFAULTS.maxQueue;
  // Where there are several keys, none of them can fill the queue alone.
  const share = apiKey.length > 1 ? Math.ceil(most / 2) : most;
  return {
    maxSequences: maxSequences ?? SERVE_DEFAULTS.maxSequences,
    maxQueue: most,
    maxQueuePerTenant: maxQueuePerKey ?? share,
  };
}

function corsOptions(origins: readonly string[]) {
  return {
    origin: origins.includes('*') ? '*' : [...origins],
    methods: ['GET', 'POST'],
    exposedHeaders: ['x-request-id', 'retry-after'],
    maxAge: 600,
  };
}

const SOUND_REQUEST_ID = /^[\w.-]{1,64}$/;

function fastifyOptions(
  logger: Exclude<FastifyServerOptions['logger'], undefined>,
  { headersMs, requestMs }: Patience,
) {
  return {
    logger,
    // request-log.ts writes the lines.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: LIMITS.bodyBytes,
    requestTimeout: requestMs,
    keepAliveTimeout: LIMITS.keepAliveMs,
    // Closing waits for answers by itself; connections without one must not hold it up.
    forceCloseConnections: 'idle' as const,
    routerOptions: { maxParamLength: LIMITS.nameChars },
    http: {
      headersTimeout: headersMs,
      maxHeaderSize: LIMITS.headerBytes,
      // Refused with a message where it matters: see access-node.ts.
      requireHostHeader: false,
      connectionsCheckingInterval: Math.min(headersMs, requestMs) / 4,
    },
    genReqId: ({ headers }: IncomingMessage) => {
      const given = headers['x-request-id'];
      return typeof given === 'string' && SOUND_REQUEST_ID.test(given) ? given : randomUUID();
    },
    clientErrorHandler: answerClientError,
    frameworkErrors: answerFrameworkError,
  };
}
