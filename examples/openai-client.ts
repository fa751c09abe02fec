/**
 * The `openai` package against a Kvant server: a streamed chat, an answer that is an object, and the responses API.
 *
 *     npx kvant serve                  # in another terminal
 *     npm install openai zod
 *     node openai-client.ts            # Node 22.18 or later runs TypeScript as it is
 *
 * KVANT_URL and KVANT_API_KEY name another server than http://127.0.0.1:8080/v1, and its key.
 */
import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import * as z from 'zod';

const { KVANT_URL = 'http://127.0.0.1:8080/v1', KVANT_API_KEY = 'none' } = process.env;
const client = new OpenAI({ baseURL: KVANT_URL, apiKey: KVANT_API_KEY });
/** Stands for whatever model the server has. */
const model = 'kvant';

for await (const { id, object } of client.models.list()) console.log(`${object}: ${id}`);

const stream = await client.chat.completions.create({
  model,
  messages: [{ role: 'user', content: 'Why is the sky blue? Answer in one sentence.' }],
  max_tokens: 60,
  temperature: 0,
  stream: true,
  stream_options: { include_usage: true },
});
for await (const { choices, usage } of stream) {
  process.stdout.write(choices[0]?.delta.content ?? '');
  if (usage) {
    const cached = usage.prompt_tokens_details?.cached_tokens ?? 0;
    console.log(`\n${usage.prompt_tokens} tokens in (${cached} from the cache), ${usage.completion_tokens} out`);
  }
}

// The answer has this form, whatever the model is: tokens that would leave the schema are ruled out.
const Planet = z.object({ name: z.string().max(20), moons: z.int().min(0).max(300), hasRings: z.boolean() });
const completion = await client.chat.completions.parse({
  model,
  messages: [{ role: 'user', content: 'Describe the planet Saturn as JSON: name, moons, hasRings.' }],
  max_tokens: 100,
  temperature: 0,
  response_format: zodResponseFormat(Planet, 'planet'),
});
console.log('an object:', completion.choices[0].message.parsed);

const response = await client.responses.create({
  model,
  instructions: 'Answer in three words.',
  input: 'What colour is grass?',
  max_output_tokens: 20,
  temperature: 0,
});
console.log(`a response (${response.status}): ${response.output_text}`);
