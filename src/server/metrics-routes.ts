import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import { ApiError } from './api-error.ts';
import type { ServerContext } from './server-context.ts';

/** `GET /metrics`: all tenants together, so that of several keys only the one for metrics opens it. */
export function addMetricsRoutes(app: FastifyInstance, { model, metrics }: ServerContext): void {
  const schema = {
    ...{ tags: ['operation'], summary: "Metrics in Prometheus' text format" },
    response: { 200: { description: 'Metrics', content: { 'text/plain': { schema: z.string() } } } },
  };
  app.get('/metrics', { schema, config: { isOperation: true } }, async ({ tenant }, reply) => {
    if (!tenant.mayReadMetrics) {
      const message = 'metrics are of all API keys together: start the server with --metrics-key, and send that key';
      throw new ApiError(403, message, { code: 'metrics_key_required' });
    }
    // An engine that has failed tells nothing any more; what clients have seen is still known.
    const text = await metrics.scrape(await model.stats().catch(() => undefined));
    return reply.type(metrics.contentType).send(text);
  });
}
