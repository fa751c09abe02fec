import type { FastifyInstance } from 'fastify';

const CLIENT_LEFT = 499;

/** One line for each request, with its id, which the answer's header has, too. Neither prompts nor keys nor queries are in it. */
export function addRequestLog(app: FastifyInstance): void {
  app.decorateReply('loggedUsage', undefined);
  app.addHook('onRequest', async (request, reply) => void reply.header('x-request-id', request.id));
  app.addHook('onResponse', async ({ method, routeOptions, tenant, log }, reply) => {
    log.info(
      {
        method,
        route: routeOptions.url ?? 'unknown',
        // 499, as nginx has it: the client left before its answer.
        status: reply.raw.writableFinished ? reply.statusCode : CLIENT_LEFT,
        ms: Math.round(reply.elapsedTime),
        // Undefined where a request was refused before its key was looked at.
        key: (tenant as typeof tenant | undefined)?.number,
        ...reply.loggedUsage,
      },
      'request',
    );
  });
}
