import { EventSourceParserStream } from 'eventsource-parser/stream';

/** Data of the server-sent events of a body, as they come. Fields other than `data` are left out. */
export async function* eventDataOf(body: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  const events = body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
  for await (const { data } of events) yield data;
}
