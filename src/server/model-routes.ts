import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import { checkModelName } from './model-name.ts';
import type { ServerContext } from './server-context.ts';
import { KV_FORMAT_LADDER } from '../engine/options.ts';

/** `GET /v1/models` and `GET /v1/models/:id`: the one model. */
export function addModelRoutes(app: FastifyInstance, context: ServerContext): void {
  const typed = app.withTypeProvider<ZodTypeProvider>();
  const tags = ['models'];
  typed.get('/v1/models', { schema: { tags, summary: 'Lists the model' } }, async () => ({
    object: 'list',
    data: [modelObject(context)],
  }));
  typed.get(
    '/v1/models/:model',
    { schema: { tags, summary: 'Describes the model', params: z.strictObject({ model: z.string() }) } },
    async ({ params }) => {
      checkModelName(params.model, context.modelId);
      return modelObject(context);
    },
  );
}

function modelObject({ model: { info }, modelId, startedAt }: ServerContext): object {
  return {
    id: modelId,
    object: 'model',
    created: startedAt,
    owned_by: 'kvant',
    kvant: {
      name: info.name,
      architecture: info.architecture,
      parameters: info.numParameters,
      kv: info.kvFormat,
      ctx: info.ctx,
      kv_formats: KV_FORMAT_LADDER,
      has_chat_template: info.hasChatTemplate,
      backend: info.backend,
      plan: {
        total_bytes: info.plannedBytes,
        weight_bytes: info.memory.weightBytes,
        page_bytes: info.memory.pageBytes,
        scratch_bytes: info.memory.scratchBytes,
      },
    },
  };
}
