import type { FastifyInstance } from 'fastify';
import type * as z from 'zod';
import { toBodyError } from './body-schema.ts';

/** Checks what requests bring against the schemas of their routes, with errors as OpenAI's API has them. */
export function addBodyCheck(app: FastifyInstance): void {
  // JSON is all that routes take.
  app.removeContentTypeParser('text/plain');
  app.setValidatorCompiler<z.ZodType>(({ schema }) => (data: unknown) => {
    const result = schema.safeParse(data);
    return result.success ? { value: result.data } : { error: toBodyError(result.error, data) };
  });
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
}
