import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ApiError, toApiError } from './api-error.ts';

/** Methods of every route, by its path. */
export type RouteMethods = ReadonlyMap<string, readonly string[]>;

/**
 * Answers errors in the one form that clients know. What is the server's own failure goes to its log only.
 *
 * @returns the routes, as they are added later
 */
export function addErrorAnswers(app: FastifyInstance): RouteMethods {
  app.setErrorHandler((error, request, reply) => {
    const told = toApiError(error);
    logFailure(request.log, told);
    return sendError(reply, told);
  });
  const methods = methodsByPath(app);
  app.setNotFoundHandler((request, reply) => sendError(reply, notFound(request, methods)));
  return methods;
}

/** Answers what fails before any route is looked for, such as a path that is none. */
export function answerFrameworkError(error: Error, request: FastifyRequest, reply: FastifyReply): void {
  const told = toApiError(error);
  logFailure(request.log, told);
  void sendError(reply, told);
}

/** Writes down what is the server's own failure. */
export function logFailure(log: FastifyBaseLogger, { cause }: ApiError): void {
  if (cause !== undefined) log.error({ err: cause }, 'a request failed');
}

function sendError(reply: FastifyReply, error: ApiError): FastifyReply {
  return reply.code(error.statusCode).headers(error.headers).type('application/json; charset=utf-8').send(error.body);
}

/** Filled as routes are added, so it must be called before them. */
function methodsByPath(app: FastifyInstance): RouteMethods {
  const methods = new Map<string, string[]>();
  app.addHook('onRoute', ({ url, method }) => {
    const known = methods.get(url) ?? [];
    methods.set(url, [...new Set([...known, ...[method].flat()])]);
  });
  return methods;
}

function notFound({ method, url }: FastifyRequest, methods: RouteMethods): ApiError {
  const [path] = url.split('?');
  const known = methods.get(path);
  if (!known) {
    return new ApiError(404, 'no such route: /openapi.json lists them', { code: 'unknown_url' });
  }
  const allow = known.join(', ');
  const message = `this route takes ${allow}, not ${method}`;
  return new ApiError(405, message, { code: 'method_not_allowed', headers: { allow } });
}
