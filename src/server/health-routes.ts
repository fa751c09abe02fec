import type { FastifyInstance } from 'fastify';
import { shuttingDown } from './api-error.ts';
import type { ServerContext } from './server-context.ts';

/** `GET /health/live`: the process answers. `GET /health/ready`: it takes requests, which it does not while it shuts down. */
export function addHealthRoutes(app: FastifyInstance, { gate }: ServerContext): void {
  const tags = ['health'];
  app.get(
    '/health/live',
    { config: { isPublic: true }, schema: { tags, summary: 'Tells that the process runs' } },
    async () => ({
      status: 'live',
    }),
  );
  app.get('/health/ready', { schema: { tags, summary: 'Tells whether requests are taken' } }, async () => {
    if (gate.isClosed) throw shuttingDown();
    return { status: 'ready' };
  });
}
