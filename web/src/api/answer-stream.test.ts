import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { streamAnswer, type AnswerPiece } from './answer-stream.ts';
import type { ApiRequest } from './api-client.ts';
import { ApiError } from './api-error.ts';

const REQUEST = {
  model: 'm',
  messages: [{ role: 'user', content: 'Hi' }],
  ...{ kv: 'q8', temperature: 0, maxTokens: 5, seed: undefined },
} as const;

/** A server whose answer arrives in pieces that end anywhere. */
function serverThatSends(...pieces: readonly string[]) {
  const sent: { path: string; body: unknown }[] = [];
  const send = async (path: string, { body }: ApiRequest = {}): Promise<Response> => {
    sent.push({ path, body });
    const encoder = new TextEncoder();
    const stream = new ReadableStream({
      start: (controller) => {
        for (const piece of pieces) controller.enqueue(encoder.encode(piece));
        controller.close();
      },
    });
    return new Response(stream);
  };
  return { sent, send };
}

async function collect(server: ReturnType<typeof serverThatSends>): Promise<AnswerPiece[]> {
  return await Array.fromAsync(streamAnswer(server, REQUEST, new AbortController().signal));
}

describe('streamAnswer', () => {
  it('asks for a stream with usage, in the format of the chat', async () => {
    const server = serverThatSends('data: [DONE]\n\n');
    await collect(server);
    assert.deepEqual(server.sent, [
      {
        path: 'v1/chat/completions',
        body: {
          model: 'm',
          messages: REQUEST.messages,
          stream: true,
          stream_options: { include_usage: true },
          temperature: 0,
          max_completion_tokens: 5,
          kvant: { kv: 'q8' },
        },
      },
    ]);
  });

  it('gives text, the reason of the end and the figures, wherever the network cuts the stream', async () => {
    const text = 'data: {"choices":[{"delta":{"content":"Grüße"}}],"usage":null}\n\n';
    const last =
      'data: {"choices":[{"delta":{},"finish_reason":"stop"}],"kvant":{"kv":{"format":"q8","bits_per_element":8.4,"bytes":100,"f16_bytes":200},"ttft_ms":12,"decode_tps":null,"seed":3}}\n\n';
    const usage =
      'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4}}}\n\n';
    const whole = `${text}${last}${usage}data: [DONE]\n\n`;
    const pieces = await collect(serverThatSends(whole.slice(0, 40), whole.slice(40, 150), whole.slice(150)));
    assert.deepEqual(
      pieces.map((piece) => piece.text),
      ['Grüße', '', ''],
    );
    assert.equal(pieces[1].finishReason, 'stop');
    assert.deepEqual(pieces[1].figures, {
      ...{ ttftMs: 12, decodeTps: undefined, kvFormat: 'q8', bitsPerElement: 8.4, bytes: 100, f16Bytes: 200, seed: 3 },
    });
    assert.deepEqual(pieces[2].figures, { promptTokens: 9, cachedTokens: 4, completionTokens: 2 });
  });

  it('throws what the server says in the middle of a stream', async () => {
    const server = serverThatSends('data: {"error":{"message":"the engine failed"}}\n\n');
    await assert.rejects(collect(server), new ApiError('the engine failed'));
  });

  it('throws where the stream ends without its end', async () => {
    const server = serverThatSends('data: {"choices":[{"delta":{"content":"Hal"}}]}\n\n');
    await assert.rejects(collect(server), /ended before the answer was complete/);
  });

  it('throws where what comes is no JSON', async () => {
    await assert.rejects(collect(serverThatSends('data: <html>\n\n')), /connection broke/);
  });
});
