/**
 * LangChain.js against a Kvant server: a chain, a stream, and structured output.
 *
 *     npx kvant serve                  # in another terminal
 *     npm install @langchain/core @langchain/openai zod
 *     node langchain.ts                # Node 22.18 or later runs TypeScript as it is
 *
 * KVANT_URL and KVANT_API_KEY name another server than http://127.0.0.1:8080/v1, and its key.
 */
import { StringOutputParser } from '@langchain/core/output_parsers';
import { ChatPromptTemplate } from '@langchain/core/prompts';
import { ChatOpenAI } from '@langchain/openai';
import * as z from 'zod';

const { KVANT_URL = 'http://127.0.0.1:8080/v1', KVANT_API_KEY = 'none' } = process.env;
const model = new ChatOpenAI({
  // Stands for whatever model the server has.
  model: 'kvant',
  apiKey: KVANT_API_KEY,
  configuration: { baseURL: KVANT_URL },
  temperature: 0,
  maxTokens: 100,
});

const prompt = ChatPromptTemplate.fromMessages([
  ['system', 'You answer in one sentence.'],
  ['user', 'What is {thing}?'],
]);
const chain = prompt.pipe(model).pipe(new StringOutputParser());
console.log(await chain.invoke({ thing: 'a lighthouse' }));

for await (const piece of await chain.stream({ thing: 'the sea' })) process.stdout.write(piece);
console.log();

const Place = z.object({ name: z.string().max(30), isIsland: z.boolean() });
const structured = model.withStructuredOutput(Place, { name: 'place', method: 'jsonSchema' });
console.log('an object:', await structured.invoke('Describe Iceland as JSON: name, isIsland.'));
