import type { FastifyInstance } from 'fastify';

/** One line for each request, with its id, which the answer's header has, too. Neither prompts nor keys nor queries are in it. */
export function addRequestLog(app: FastifyInstance): void {
  app.decorateReply('loggedUsage', undefined);
  app.addHook('onRequest', async (request, reply) => void reply.header('x-request-id', request.id));
  app.addHook('onResponse', async ({ method, routeOptions, tenant, log }, reply) => {
    log.info(
      {
        method,
        route: routeOptions.url ?? 'unknown',
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime),
        // Undefined where a request was refused before its key was looked at.
        key: (tenant as typeof tenant | undefined)?.number,
        ...reply.loggedUsage,
        ...(reply.raw.writableFinished ? {} : { clientLeft: true }),
      },
      'request',
    );
  });
}
