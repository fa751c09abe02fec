import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import { answersWith } from './answer-schema.ts';
import { invalidRequest, toApiError } from './api-error.ts';
import { textUpTo } from './body-schema.ts';
import { messagesField, refuseUnsupportedMessages, toMessages } from './chat-schema.ts';
import { LIMITS } from './limits.ts';
import { checkModelName } from './model-name.ts';
import type { ServerContext } from './server-context.ts';
import { checkTextLength, textsOf } from './text-length.ts';

const modelField = textUpTo(LIMITS.nameChars).nullish();
const ONE_OF = 'give exactly one of input and messages';

const tokenizeSchema = z
  .strictObject({
    model: modelField,
    input: textUpTo(LIMITS.bodyBytes).nullish(),
    messages: messagesField.nullish(),
  })
  .refine(({ input, messages }) => (typeof input === 'string') !== Array.isArray(messages), {
    error: ONE_OF,
    path: ['input'],
  });

const tokenId = z.int('must be a token id').min(0, 'must be a token id');
const detokenizeSchema = z.strictObject({
  model: modelField,
  tokens: z
    .array(tokenId, 'must be a list of token ids')
    .max(LIMITS.tokens, `must have at most ${LIMITS.tokens} tokens`),
});

const tokensSchema = z.object({
  object: z.literal('tokens'),
  model: z.string(),
  tokens: z.array(z.int()),
  count: z.int(),
});
const textSchema = z.object({ object: z.literal('text'), model: z.string(), text: z.string() });

/** `POST /v1/tokenize` and `/v1/detokenize`: text or messages to token ids, and back. */
export function addTokenRoutes(app: FastifyInstance, context: ServerContext): void {
  addTokenize(app, context);
  addDetokenize(app, context);
}

function addTokenize(app: FastifyInstance, { model, modelId }: ServerContext): void {
  const summary = 'Turns a text, or messages through the chat template, into token ids';
  app.withTypeProvider<ZodTypeProvider>().post(
    '/v1/tokenize',
    {
      schema: { tags: ['tokens'], summary, body: tokenizeSchema, response: answersWith(tokensSchema) },
      preValidation: async ({ body }) => {
        if (typeof body === 'object' && body !== null && 'messages' in body) refuseUnsupportedMessages(body.messages);
      },
    },
    async ({ body: { model: asked, input, messages } }) => {
      checkModelName(asked, modelId);
      try {
        const given = messages ? toMessages(messages) : undefined;
        checkTextLength(given ? textsOf(given) : [input ?? ''], model.info.ctx, given ? 'messages' : 'input');
        const tokens = given ? await model.encode({ messages: given }) : await model.tokenize(input ?? '');
        return { object: 'tokens' as const, model: modelId, tokens, count: tokens.length };
      } catch (error) {
        throw toApiError(error, messages ? 'messages' : 'input');
      }
    },
  );
}

function addDetokenize(app: FastifyInstance, { model, modelId }: ServerContext): void {
  const summary = 'Turns token ids into a text';
  const { vocabularySize } = model.info;
  app
    .withTypeProvider<ZodTypeProvider>()
    .post(
      '/v1/detokenize',
      { schema: { tags: ['tokens'], summary, body: detokenizeSchema, response: answersWith(textSchema) } },
      async ({ body: { model: asked, tokens } }) => {
        checkModelName(asked, modelId);
        const unknown = tokens.findIndex((id) => id >= vocabularySize);
        if (unknown >= 0) {
          const message = `token ids of this model go from 0 to ${vocabularySize - 1}; got ${tokens[unknown]}`;
          throw invalidRequest(`tokens[${unknown}]`, message);
        }
        return { object: 'text' as const, model: modelId, text: await model.detokenize(tokens) };
      },
    );
}
