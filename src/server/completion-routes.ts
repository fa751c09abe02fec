import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Generation, GenerateResult } from '../engine/types.ts';
import { answersWithEvents } from './answer-schema.ts';
import { invalidRequest, toApiError, unsupported } from './api-error.ts';
import { completionHead, finishReason, type CompletionHead } from './chat-completion.ts';
import {
  completionSchema,
  textCompletionSchema,
  toPrompts,
  type CompletionBody,
  type TextCompletion,
} from './completion-schema.ts';
import { sendEvents, type ServerEvent } from './event-stream-node.ts';
import { maxTokensOf, toGenerateOptions } from './generate-options.ts';
import { beginJob, type Job } from './job.ts';
import { textLogprobs } from './logprobs.ts';
import { allResults, mergeAnswers } from './merge-answers.ts';
import { checkModelName } from './model-name.ts';
import type { ServerContext } from './server-context.ts';
import { checkTextLength } from './text-length.ts';
import { tracked } from './tracked-generation.ts';
import { refuseUnsupportedFields, UNSUPPORTED_IN_COMPLETIONS } from './unsupported-fields.ts';
import { noteUsage } from './usage-log.ts';
import { kvantReport, usageOf } from './usage.ts';

/** OpenAI's own default of this route: it goes on with texts, which have no end. */
const DEFAULT_MAX_TOKENS = 16;

/** `POST /v1/completions`: goes on with texts or token ids, without the chat template. */
export function addCompletionRoutes(app: FastifyInstance, context: ServerContext): void {
  app.withTypeProvider<ZodTypeProvider>().post(
    '/v1/completions',
    {
      schema: {
        ...{ tags: ['answers'], summary: 'Goes on with texts' },
        body: completionSchema,
        response: answersWithEvents(textCompletionSchema, textCompletionSchema),
      },
      preValidation: async ({ body }) => refuseUnsupportedFields(body, UNSUPPORTED_IN_COMPLETIONS),
    },
    (request, reply) => complete(context, request.body, request, reply),
  );
}

async function complete(
  context: ServerContext,
  body: CompletionBody,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  checkCombinations(body);
  checkModelName(body.model, context.modelId);
  const texts = toPrompts(body.prompt).flatMap((each) => ('prompt' in each ? each.prompt : []));
  checkTextLength(texts, context.model.info.ctx, 'prompt');
  const maxTokens = maxTokensOf(
    'max_tokens',
    body.max_tokens ?? Math.min(DEFAULT_MAX_TOKENS, context.answers.maxTokens),
    context.answers,
  );
  const numChoices = body.n ?? 1;
  const job = beginJob(context, request, reply, toPrompts(body.prompt).length * numChoices, 'prompt');
  try {
    const form = { tenant: request.tenant.id, maxTokens, topLogProbs: body.logprobs ?? undefined };
    const generations = startAll(context, body, form, job);
    const head = completionHead('cmpl-', context.modelId, context.version);
    if (body.stream) {
      const includesUsage = body.stream_options?.include_usage === true;
      const events = textEvents(head, generations, { includesUsage, numChoices }, reply);
      return await sendEvents(reply, events, { job, endsWithDone: true, slowReaderMs: context.slowReaderMs });
    }
    const results = await allResults(generations);
    job.end();
    noteUsage(reply, results);
    return await reply.send(wholeCompletion(head, results, numChoices));
  } catch (error) {
    job.end();
    throw toApiError(error, 'prompt');
  }
}

function startAll(
  { model, answers, metrics }: ServerContext,
  body: CompletionBody,
  form: Parameters<typeof toGenerateOptions>[1],
  job: Job,
): readonly Generation[] {
  const choices = Array.from({ length: body.n ?? 1 }, (_, choice) => choice);
  return toPrompts(body.prompt).flatMap((prompt) =>
    choices.map((choice) => {
      const options = { ...toGenerateOptions(body, form, answers, choice), ...prompt, signal: job.signal };
      return tracked(model.generate(options), metrics.requestStarted());
    }),
  );
}

function wholeCompletion(head: CompletionHead, results: readonly GenerateResult[], numChoices: number): TextCompletion {
  return {
    ...head,
    object: 'text_completion',
    choices: results.map((result, index) => ({
      index,
      text: result.text,
      logprobs: result.logProbs ? textLogprobs(result.logProbs, 0) : null,
      finish_reason: finishReason(result),
    })),
    usage: usageOf(results, numChoices),
    kvant: kvantReport(results),
  };
}

async function* textEvents(
  head: CompletionHead,
  generations: readonly Generation[],
  { includesUsage, numChoices }: { readonly includesUsage: boolean; readonly numChoices: number },
  reply: FastifyReply,
): AsyncGenerator<ServerEvent> {
  const base = { ...head, object: 'text_completion' } as const;
  const noUsage = includesUsage ? { usage: null } : {};
  const lengths = generations.map(() => 0);
  for await (const event of mergeAnswers(generations)) {
    const { index } = event;
    if ('chunk' in event) {
      const { text, logProbs } = event.chunk;
      const logprobs = logProbs ? textLogprobs(logProbs, lengths[index]) : null;
      lengths[index] += text.length;
      yield { data: { ...base, choices: [{ index, text, logprobs, finish_reason: null }], ...noUsage } };
    } else {
      const last = { index, text: '', logprobs: null, finish_reason: finishReason(event.result) };
      yield { data: { ...base, choices: [last], ...noUsage, kvant: kvantReport([event.result]) } };
    }
  }
  const results = await allResults(generations);
  noteUsage(reply, results);
  if (includesUsage) yield { data: { ...base, choices: [], usage: usageOf(results, numChoices) } };
}

/** @throws ApiError */
function checkCombinations({ echo, stream, stream_options: options }: CompletionBody): void {
  if (echo) throw unsupported('echo', "'echo' is not supported: put the prompt before the answer yourself");
  if (options && !stream) throw invalidRequest('stream_options', 'stream_options needs stream: true');
}
