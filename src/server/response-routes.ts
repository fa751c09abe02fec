import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Generation } from '../engine/types.ts';
import { answersWithEvents } from './answer-schema.ts';
import { toApiError } from './api-error.ts';
import { objectId } from './chat-completion.ts';
import { refuseUnsupportedMessages } from './chat-schema.ts';
import { sendEvents } from './event-stream-node.ts';
import { maxTokensOf, toGenerateOptions } from './generate-options.ts';
import { beginJob, type Job } from './job.ts';
import { allResults } from './merge-answers.ts';
import { checkModelName } from './model-name.ts';
import { ResponseEvents, responseEvents, responseEventSchema } from './response-events.ts';
import { begunResponse, endedResponse, responseObjectSchema } from './response-object.ts';
import { inputMessages, responseSchema, textFormat, type ResponseBody } from './response-schema.ts';
import type { ServerContext } from './server-context.ts';
import { checkTextLength, textsOf } from './text-length.ts';
import { tracked } from './tracked-generation.ts';
import { refuseUnsupportedFields, UNSUPPORTED_IN_RESPONSES } from './unsupported-fields.ts';
import { noteUsage } from './usage-log.ts';

/** `POST /v1/responses`: text in, text out. */
export function addResponseRoutes(app: FastifyInstance, context: ServerContext): void {
  app.withTypeProvider<ZodTypeProvider>().post(
    '/v1/responses',
    {
      schema: {
        ...{ tags: ['answers'], summary: 'Answers a text or a conversation' },
        body: responseSchema,
        response: answersWithEvents(responseObjectSchema, responseEventSchema),
      },
      preValidation: async ({ body }) => {
        refuseUnsupportedFields(body, UNSUPPORTED_IN_RESPONSES);
        if (typeof body === 'object' && body !== null && 'input' in body)
          refuseUnsupportedMessages(body.input, 'input');
      },
    },
    (request, reply) => respond(context, request.body, request, reply),
  );
}

async function respond(
  context: ServerContext,
  body: ResponseBody,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  checkModelName(body.model, context.modelId);
  checkTextLength(textsOf(inputMessages(body)), context.model.info.ctx, 'input');
  const job = beginJob(context, request, reply, 1, 'input');
  try {
    const generation = start(context, body, request.tenant.id, job);
    const begun = begunResponse(body, context.modelId, context.answers.temperature);
    if (body.stream) {
      const events = new ResponseEvents();
      const { slowReaderMs } = context;
      void allResults([generation]).then(
        (results) => noteUsage(reply, results),
        () => undefined,
      );
      const errorEvent = (error: unknown) => events.error(error);
      const options = { job, endsWithDone: false, slowReaderMs, errorEvent };
      return await sendEvents(reply, responseEvents(events, begun, generation), options);
    }
    const results = await allResults([generation]);
    job.end();
    noteUsage(reply, results);
    return await reply.send(endedResponse(begun, objectId('msg_'), results[0]));
  } catch (error) {
    job.end();
    throw toApiError(error, 'input');
  }
}

/** @throws ApiError, KvantError INVALID_OPTION */
function start({ model, answers, metrics }: ServerContext, body: ResponseBody, tenant: string, job: Job): Generation {
  const form = {
    tenant,
    maxTokens: maxTokensOf('max_output_tokens', body.max_output_tokens, answers),
    responseFormat: textFormat(body),
  };
  const options = { ...toGenerateOptions(body, form, answers, 0), messages: inputMessages(body), signal: job.signal };
  return tracked(model.generate(options), metrics.requestStarted());
}
