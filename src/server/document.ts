import fastifySwagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { jsonSchemaTransform } from 'fastify-type-provider-zod';
import * as z from 'zod';

/** Collects what is said of routes that are added later, and serves it: `GET /openapi.json`. */
export async function addDocument(app: FastifyInstance, version: string): Promise<void> {
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Kvant',
        version,
        description:
          "A language model on a quantized KV cache, with OpenAI's API. Fields of its own are under `kvant`.",
      },
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer' },
          apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
        },
      },
      security: [{ bearer: [] }, { apiKey: [] }],
    },
    transform: jsonSchemaTransform,
  });
  app.get(
    '/openapi.json',
    { schema: { tags: ['operation'], summary: 'This document', response: { 200: z.looseObject({}) } } },
    async () => app.swagger(),
  );
}
