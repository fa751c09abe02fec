import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import { planReport } from '../engine/plan-report.ts';
import { loadOptionShape } from '../engine/options.ts';
import { answersWith } from './answer-schema.ts';
import { toApiError } from './api-error.ts';
import { cacheReport, cacheReportSchema } from './cache-report.ts';
import { planReportSchema } from './plan-schema.ts';
import type { ServerContext } from './server-context.ts';

const wholeNumber = z.coerce
  .number('must be a whole number')
  .pipe(z.int('must be a whole number').min(1, 'must be at least 1'));

const planQuery = z.strictObject({
  ctx: wholeNumber.optional().describe("Tokens of context; default: the server's"),
  users: wholeNumber
    .pipe(loadOptionShape.maxSequences)
    .optional()
    .describe('Sequences at the same time, each with a whole context; default: 1'),
  memory: z
    .string('must be a size such as 2GB')
    .max(40)
    .optional()
    .describe("A budget such as 2GB; default: the machine's memory"),
});

/** `GET /v1/cache`: what the caller's cache holds. `GET /v1/plan`: what the model would take with another context, memory or number of users. */
export function addCacheRoutes(app: FastifyInstance, { model, planner }: ServerContext): void {
  const typed = app.withTypeProvider<ZodTypeProvider>();
  const tags = ['cache'];
  typed.get(
    '/v1/cache',
    { schema: { tags, summary: "Tells what the caller's KV cache holds", response: answersWith(cacheReportSchema) } },
    async ({ tenant }) => cacheReport(await model.stats({ tenant: tenant.id }), model.info),
  );
  typed.get(
    '/v1/plan',
    { schema: { tags, summary: 'Plans memory', querystring: planQuery, response: answersWith(planReportSchema) } },
    async ({ query: { ctx, users, memory } }) => {
      const plans = await planner();
      try {
        const changes = {
          ctx: ctx ?? model.info.ctx,
          ...(users !== undefined && { maxSequences: users }),
          ...(memory !== undefined && { memory }),
        };
        return planReport(plans.plan(changes));
      } catch (error) {
        throw toApiError(error);
      }
    },
  );
}
