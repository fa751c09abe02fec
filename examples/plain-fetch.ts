/**
 * A Kvant server without any package: a streamed chat by `fetch` and server-sent events.
 *
 *     npx kvant serve                  # in another terminal
 *     node plain-fetch.ts "Why is the sky blue?"     # Node 22.18 or later runs TypeScript as it is
 *
 * KVANT_URL and KVANT_API_KEY name another server than http://127.0.0.1:8080/v1, and its key.
 */

const { KVANT_URL = 'http://127.0.0.1:8080/v1', KVANT_API_KEY } = process.env;

/** What is looked at of a chunk. An error in mid-stream comes as an event, too. */
interface Chunk {
  readonly choices?: readonly {
    readonly delta: { readonly content?: string };
    readonly finish_reason: string | null;
  }[];
  readonly kvant?: {
    readonly kv: { readonly format: string; readonly bytes: number; readonly f16_bytes: number };
    readonly ttft_ms: number;
    readonly decode_tps: number | null;
  };
  readonly error?: { readonly message: string };
}

async function* chat(content: string, signal?: AbortSignal): AsyncGenerator<Chunk> {
  const response = await fetch(`${KVANT_URL}/chat/completions`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      ...(KVANT_API_KEY !== undefined && { Authorization: `Bearer ${KVANT_API_KEY}` }),
    },
    body: JSON.stringify({ messages: [{ role: 'user', content }], max_tokens: 100, temperature: 0, stream: true }),
    // Whoever aborts it ends the answer on the server, too.
    signal: signal ?? null,
  });
  if (!response.ok || !response.body) throw new Error(`${response.status}: ${await response.text()}`);
  let rest = '';
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const events = (rest + text).split('\n\n');
    // Bytes come in pieces of any length: the last event may be incomplete.
    rest = events.pop() ?? '';
    for (const event of events) {
      const data = event.replace(/^data: /, '');
      if (data === '[DONE]') return;
      yield JSON.parse(data) as Chunk;
    }
  }
  throw new Error('the stream ended too early');
}

for await (const { choices, kvant, error } of chat(process.argv[2] ?? 'Why is the sky blue?')) {
  if (error) throw new Error(error.message);
  process.stdout.write(choices?.[0]?.delta.content ?? '');
  if (!kvant) continue;
  const { kv, ttft_ms: ttftMs, decode_tps: tps } = kvant;
  console.log(`\n\nfirst token after ${ttftMs.toFixed(0)} ms, then ${tps?.toFixed(1) ?? '-'} tokens/s`);
  console.log(`KV cache: ${kv.bytes} bytes as ${kv.format}, ${kv.f16_bytes} as f16`);
}
