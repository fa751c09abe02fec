import * as z from 'zod';
import type { ResponseFormat } from '../engine/output-types.ts';
import { invalidRequest } from './api-error.ts';
import { textUpTo } from './body-schema.ts';
import { LIMITS } from './limits.ts';

/** The form that an answer must have, as chat completions name it. */

const RULE =
  'must be {"type": "text"}, {"type": "json_object"}, or {"type": "json_schema", "json_schema": {"name", "schema"}}';

export const schemaField = z.looseObject({}, 'must be a JSON schema, an object');

export const responseFormatField = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('text') }),
    z.strictObject({ type: z.literal('json_object') }),
    z.strictObject({
      type: z.literal('json_schema'),
      json_schema: z.strictObject({
        name: textUpTo(LIMITS.nameChars),
        description: textUpTo(LIMITS.schemaChars).nullish(),
        schema: schemaField,
        strict: z.boolean('must be true or false').nullish(),
      }),
    }),
  ],
  RULE,
);

/** @throws ApiError for a schema that is too deep or too long */
export function toResponseFormat(given: z.infer<typeof responseFormatField>, param: string): ResponseFormat {
  if (given.type !== 'json_schema') return given;
  const { schema } = given.json_schema;
  checkSchemaSize(schema, `${param}.json_schema.schema`);
  return { type: 'json_schema', schema };
}

/** Goes down level by level, so that no depth of nesting is too much for it. @throws ApiError */
export function checkSchemaSize(schema: object, param: string): void {
  let level: readonly unknown[] = [schema];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > LIMITS.schemaDepth) {
      throw invalidRequest(param, `the schema is nested deeper than ${LIMITS.schemaDepth} levels: make it flatter`);
    }
    level = level.flatMap((value) =>
      typeof value === 'object' && value !== null ? (Object.values(value) as unknown[]) : [],
    );
  }
  const numChars = JSON.stringify(schema).length;
  if (numChars <= LIMITS.schemaChars) return;
  const message = `the schema has ${numChars} characters: it may have ${LIMITS.schemaChars}`;
  throw invalidRequest(param, message);
}
