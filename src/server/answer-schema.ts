import * as z from 'zod';

/** Parts of answers that several routes have. The OpenAPI document is made from them, and the objects' types. */

export const count = z.int().min(0);

const errorSchema = z.object({
  error: z.object({
    message: z.string().describe('What is wrong, and what to do'),
    type: z.enum(['invalid_request_error', 'rate_limit_error', 'server_error']),
    param: z.string().nullable().describe('The field that is wrong, such as messages[0].content'),
    code: z.string().nullable(),
  }),
});

/** What a client is told of an error. */
export type ErrorBody = z.infer<typeof errorSchema>;

export type ApiErrorType = ErrorBody['error']['type'];

/** Answers of a route: the one of success, and errors. */
export function answersWith<Schema extends z.ZodType>(schema: Schema) {
  return { 200: schema, '4xx': errorSchema, '5xx': errorSchema };
}

/** Of a route that answers as a whole, or with server-sent events. */
export function answersWithEvents(whole: z.ZodType, event: z.ZodType) {
  const content = {
    'application/json': { schema: whole },
    'text/event-stream': { schema: event },
  };
  return {
    200: { description: 'As a whole, or with stream: true as events', content },
    '4xx': errorSchema,
    '5xx': errorSchema,
  };
}
