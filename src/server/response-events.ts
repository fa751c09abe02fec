import * as z from 'zod';
import type { Generation } from '../engine/types.ts';
import { objectId } from './chat-completion.ts';
import { toApiError } from './api-error.ts';
import type { ServerEvent } from './event-stream-node.ts';
import { mergeAnswers } from './merge-answers.ts';
import { endedResponse, messageItemOf, textPartOf, type ResponseObject } from './response-object.ts';

/** Events of a streamed response: each names its kind, and has a number one higher than the one before. */
export const responseEventSchema = z.looseObject({
  type: z.string().describe('Such as response.created, response.output_text.delta and response.completed'),
  sequence_number: z.int(),
});

/** Numbers events, and gives them their names. */
export class ResponseEvents {
  #next = 0;

  of(type: string, fields: object): ServerEvent {
    return { name: type, data: { type, sequence_number: this.#next++, ...fields } };
  }

  error(error: unknown): ServerEvent {
    const { message, code, param } = toApiError(error).body.error;
    return this.of('error', { code, message, param });
  }
}

/** All events of an answer, from `response.created` to `response.completed`, or to `response.incomplete` where it was cut. */
export async function* responseEvents(
  events: ResponseEvents,
  begun: ResponseObject,
  generation: Generation,
): AsyncGenerator<ServerEvent> {
  const itemId = objectId('msg_');
  const place = { item_id: itemId, output_index: 0, content_index: 0 };
  let hasBegun = false;
  for await (const event of mergeAnswers([generation])) {
    // Only now is it known that the prompt can be computed.
    if (!hasBegun) yield* opening(events, begun, itemId);
    hasBegun = true;
    if ('chunk' in event) {
      yield events.of('response.output_text.delta', { ...place, delta: event.chunk.text, logprobs: [] });
      continue;
    }
    const { text } = event.result;
    const ended = endedResponse(begun, itemId, event.result);
    yield events.of('response.output_text.done', { ...place, text, logprobs: [] });
    yield events.of('response.content_part.done', { ...place, part: textPartOf(text) });
    yield events.of('response.output_item.done', { output_index: 0, item: ended.output[0] });
    yield events.of(`response.${ended.status}`, { response: ended });
  }
}

function* opening(events: ResponseEvents, begun: ResponseObject, itemId: string): Generator<ServerEvent> {
  yield events.of('response.created', { response: begun });
  yield events.of('response.in_progress', { response: begun });
  yield events.of('response.output_item.added', { output_index: 0, item: messageItemOf(itemId, 'in_progress', []) });
  const place = { item_id: itemId, output_index: 0, content_index: 0 };
  yield events.of('response.content_part.added', { ...place, part: textPartOf('') });
}
