import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import { KV_FORMAT_LADDER } from '../engine/options.ts';
import { answersWith, count } from './answer-schema.ts';
import { checkModelName } from './model-name.ts';
import type { ServerContext } from './server-context.ts';

const modelSchema = z.object({
  id: z.string(),
  object: z.literal('model'),
  created: z.int().describe('When the server started, in seconds since 1970'),
  owned_by: z.literal('kvant'),
  kvant: z.object({
    name: z.string().describe("As the model's file says"),
    architecture: z.string(),
    parameters: count,
    kv: z.string().describe('KV format of requests that name none'),
    ctx: count.describe('Tokens of context'),
    kv_formats: z.array(z.string()).describe('Formats with names of their own that a request may ask for'),
    max_tokens: count.describe('Most tokens of an answer'),
    has_chat_template: z.boolean(),
    backend: z.object({ name: z.string(), threads: count, isa: z.string() }),
    plan: z.object({ total_bytes: count, weight_bytes: count, page_bytes: count, scratch_bytes: count }),
  }),
});

type ModelObject = z.infer<typeof modelSchema>;

/** `GET /v1/models` and `GET /v1/models/:model`: the one model. */
export function addModelRoutes(app: FastifyInstance, context: ServerContext): void {
  const typed = app.withTypeProvider<ZodTypeProvider>();
  const tags = ['models'];
  const list = z.object({ object: z.literal('list'), data: z.array(modelSchema) });
  typed.get('/v1/models', { schema: { tags, summary: 'Lists the model', response: answersWith(list) } }, async () => ({
    object: 'list' as const,
    data: [modelObject(context)],
  }));
  const params = z.strictObject({ model: z.string() });
  typed.get(
    '/v1/models/:model',
    { schema: { tags, summary: 'Describes the model', params, response: answersWith(modelSchema) } },
    async (request) => {
      checkModelName(request.params.model, context.modelId);
      return modelObject(context);
    },
  );
}

function modelObject({ model: { info }, modelId, startedAt, answers }: ServerContext): ModelObject {
  const { weightBytes, pageBytes, scratchBytes } = info.memory;
  return {
    ...{ id: modelId, object: 'model', created: startedAt, owned_by: 'kvant' },
    kvant: {
      name: info.name,
      architecture: info.architecture,
      parameters: info.numParameters,
      kv: info.kvFormat,
      ctx: info.ctx,
      kv_formats: [...KV_FORMAT_LADDER],
      max_tokens: answers.maxTokens,
      has_chat_template: info.hasChatTemplate,
      backend: info.backend,
      plan: {
        total_bytes: info.plannedBytes,
        weight_bytes: weightBytes,
        page_bytes: pageBytes,
        scratch_bytes: scratchBytes,
      },
    },
  };
}
