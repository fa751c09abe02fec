import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import { answersWith } from './answer-schema.ts';
import { shuttingDown } from './api-error.ts';
import type { ServerContext } from './server-context.ts';

/** `GET /health/live`: the process answers. `GET /health/ready`: it takes requests, which it does not while it shuts down. */
export function addHealthRoutes(app: FastifyInstance, { gate }: ServerContext): void {
  const tags = ['operation'];
  const live = {
    ...{ tags, summary: 'Tells that the process runs', security: [] },
    response: answersWith(z.object({ status: z.literal('live') })),
  };
  app.get('/health/live', { config: { isPublic: true }, schema: live }, async () => ({ status: 'live' }));
  const ready = {
    ...{ tags, summary: 'Tells whether requests are taken' },
    response: answersWith(z.object({ status: z.literal('ready') })),
  };
  app.get('/health/ready', { config: { isOperation: true }, schema: ready }, async () => {
    if (gate.isClosed) throw shuttingDown();
    return { status: 'ready' };
  });
}
