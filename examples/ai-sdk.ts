/**
 * The Vercel AI SDK against a Kvant server: a text, a stream, and an object.
 *
 *     npx kvant serve                  # in another terminal
 *     npm install ai @ai-sdk/openai-compatible zod
 *     node ai-sdk.ts                   # Node 22.18 or later runs TypeScript as it is
 *
 * KVANT_URL and KVANT_API_KEY name another server than http://127.0.0.1:8080/v1, and its key.
 */
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateObject, generateText, streamText } from 'ai';
import * as z from 'zod';

const { KVANT_URL = 'http://127.0.0.1:8080/v1', KVANT_API_KEY = 'none' } = process.env;
const kvant = createOpenAICompatible({
  name: 'kvant',
  baseURL: KVANT_URL,
  apiKey: KVANT_API_KEY,
  includeUsage: true,
  // Without this the SDK asks for any JSON and hopes for the schema.
  supportsStructuredOutputs: true,
});
/** Stands for whatever model the server has. */
const model = kvant('kvant');
const settings = { model, temperature: 0, maxOutputTokens: 100 };

const { text, usage } = await generateText({ ...settings, prompt: 'Name three colours.' });
console.log(`${text}\n${usage.inputTokens} tokens in, ${usage.outputTokens} out`);

const streamed = streamText({ ...settings, prompt: 'Tell a story of a lighthouse in two sentences.' });
for await (const piece of streamed.textStream) process.stdout.write(piece);
console.log(`\nended by: ${await streamed.finishReason}`);

// `kvant` is passed on to the server as it is: this request has a finer KV format.
const { object } = await generateObject({
  ...settings,
  schema: z.object({ title: z.string().max(40), genre: z.enum(['fable', 'crime', 'romance']) }),
  prompt: 'Invent a book: its title and genre, as JSON.',
  providerOptions: { kvant: { kvant: { kv: 'q8' } } },
});
console.log('an object:', object);
