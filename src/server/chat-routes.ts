import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Generation } from '../engine/types.ts';
import { invalidRequest, toApiError } from './api-error.ts';
import { answersWithEvents } from './answer-schema.ts';
import {
  chatChunkSchema,
  ChatChunks,
  chatCompletion,
  chatCompletionSchema,
  completionHead,
  type ConversationReport,
} from './chat-completion.ts';
import { chatSchema, refuseUnsupportedMessages, toMessages, type ChatBody } from './chat-schema.ts';
import type { Turn } from './conversations.ts';
import { sendEvents, type ServerEvent } from './event-stream-node.ts';
import { maxTokensOf, toGenerateOptions, type AnswerForm } from './generate-options.ts';
import { beginJob, type Job } from './job.ts';
import { allResults, mergeAnswers } from './merge-answers.ts';
import { checkModelName } from './model-name.ts';
import { toResponseFormat } from './response-format.ts';
import type { ServerContext } from './server-context.ts';
import { checkTextLength, textsOf } from './text-length.ts';
import { tracked } from './tracked-generation.ts';
import { refuseUnsupportedFields, UNSUPPORTED_IN_CHAT } from './unsupported-fields.ts';
import { noteUsage } from './usage-log.ts';

/** `POST /v1/chat/completions`. */
export function addChatRoutes(app: FastifyInstance, context: ServerContext): void {
  app.withTypeProvider<ZodTypeProvider>().post(
    '/v1/chat/completions',
    {
      schema: {
        ...{ tags: ['answers'], summary: 'Answers a conversation' },
        body: chatSchema,
        response: answersWithEvents(chatCompletionSchema, chatChunkSchema),
      },
      preValidation: async ({ body }) => {
        refuseUnsupportedFields(body, UNSUPPORTED_IN_CHAT);
        if (typeof body === 'object' && body !== null && 'messages' in body) refuseUnsupportedMessages(body.messages);
      },
    },
    (request, reply) => answerChat(context, request.body, request, reply),
  );
}

async function answerChat(
  context: ServerContext,
  body: ChatBody,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  checkCombinations(body);
  checkModelName(body.model, context.modelId);
  checkTextLength(textsOf(toMessages(body.messages)), context.model.info.ctx, 'messages');
  const form = formOf(body, context, request.tenant.id);
  const job = beginJob(context, request, reply, body.n ?? 1);
  try {
    const answers = startAnswers(context, body, form, job);
    return await (body.stream ? stream(context, body, answers, job, reply) : complete(context, answers, job, reply));
  } catch (error) {
    job.end();
    throw toApiError(error, 'messages');
  }
}

/** Answers under way, and whose turn they are. */
interface Answers {
  readonly generations: readonly Generation[];
  readonly conversation?: ConversationReport;
}

async function complete(
  { modelId, version }: ServerContext,
  { generations, conversation }: Answers,
  job: Job,
  reply: FastifyReply,
): Promise<unknown> {
  const results = await allResults(generations);
  job.end();
  noteUsage(reply, results);
  return reply.send(chatCompletion(completionHead('chatcmpl-', modelId, version), results, conversation));
}

function stream(
  context: ServerContext,
  body: ChatBody,
  answers: Answers,
  job: Job,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const events = chatEvents(context, body.stream_options?.include_usage === true, answers, reply);
  return sendEvents(reply, events, { job, endsWithDone: true, slowReaderMs: context.slowReaderMs });
}

async function* chatEvents(
  { modelId, version }: ServerContext,
  includesUsage: boolean,
  { generations, conversation }: Answers,
  reply: FastifyReply,
): AsyncGenerator<ServerEvent> {
  const chunks = new ChatChunks(completionHead('chatcmpl-', modelId, version), includesUsage);
  const begun = new Set<number>();
  for await (const event of mergeAnswers(generations)) {
    const { index } = event;
    if (!begun.has(index)) yield { data: chunks.first(index) };
    begun.add(index);
    if ('chunk' in event) yield { data: chunks.text(index, event.chunk) };
    else yield { data: chunks.last(index, event.result, conversation) };
  }
  const results = await allResults(generations);
  noteUsage(reply, results);
  if (includesUsage) yield { data: chunks.usage(results) };
}

function startAnswers(context: ServerContext, body: ChatBody, form: AnswerForm, job: Job): Answers {
  const { model, conversations, answers, metrics } = context;
  const messages = toMessages(body.messages);
  const optionsOf = (choice: number) => ({
    ...toGenerateOptions(body, form, answers, choice),
    signal: job.signal,
  });
  const name = body.kvant?.conversation;
  if (typeof name !== 'string') {
    const choices = Array.from({ length: body.n ?? 1 }, (_, choice) => choice);
    const start = (choice: number): Generation => model.generate({ ...optionsOf(choice), messages });
    return { generations: choices.map((choice) => tracked(start(choice), metrics.requestStarted())) };
  }
  const turn = conversations.take(form.tenant, name, messages);
  const generation = tracked(startTurn(turn, optionsOf(0)), metrics.requestStarted());
  return { generations: [generation], conversation: { conversation: name, turn: turn.number } };
}

function startTurn(turn: Turn, options: Parameters<Turn['chat']['send']>[1]): Generation {
  try {
    const generation = turn.chat.send(turn.content, options);
    const end = (): void => turn.end();
    generation.result.then(end, end);
    return generation;
  } catch (error) {
    turn.end();
    throw error;
  }
}

function formOf(body: ChatBody, { answers }: ServerContext, tenant: string): AnswerForm {
  const {
    max_tokens: older,
    max_completion_tokens: newer,
    logprobs,
    top_logprobs: top,
    response_format: format,
  } = body;
  const [param, asked] =
    newer === undefined || newer === null
      ? (['max_tokens', older] as const)
      : (['max_completion_tokens', newer] as const);
  return {
    tenant,
    maxTokens: maxTokensOf(param, asked, answers),
    topLogProbs: logprobs ? (top ?? 0) : undefined,
    responseFormat: format ? toResponseFormat(format, 'response_format') : undefined,
  };
}

/** @throws ApiError for fields that need others, or that exclude each other */
function checkCombinations(body: ChatBody): void {
  const { max_tokens: older, max_completion_tokens: newer, top_logprobs: top, logprobs, stream: isStream } = body;
  if (typeof older === 'number' && typeof newer === 'number' && older !== newer) {
    throw invalidRequest('max_tokens', 'max_tokens is the older name of max_completion_tokens: give one of them');
  }
  if (typeof top === 'number' && logprobs !== true)
    throw invalidRequest('top_logprobs', 'top_logprobs needs logprobs: true');
  if (body.stream_options && !isStream) throw invalidRequest('stream_options', 'stream_options needs stream: true');
  if (body.kvant?.conversation && (body.n ?? 1) > 1)
    throw invalidRequest('n', 'a conversation has one answer: leave n out');
}
