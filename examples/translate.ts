/**
 * Translates a long text piece by piece, streaming, and tells on stderr how long each piece took. All pieces begin with the same instructions: the server
 * computes them once, and finds them in its cache afterwards.
 *
 *     npx kvant serve                                  # in another terminal, best with --model of a multilingual model
 *     npm install openai
 *     node translate.ts text.txt French > french.txt   # Node 22.18 or later runs TypeScript as it is
 *
 * KVANT_URL and KVANT_API_KEY name another server than http://127.0.0.1:8080/v1, and its key.
 */
import { readFile } from 'node:fs/promises';
import OpenAI from 'openai';

const { KVANT_URL = 'http://127.0.0.1:8080/v1', KVANT_API_KEY = 'none' } = process.env;
const client = new OpenAI({ baseURL: KVANT_URL, apiKey: KVANT_API_KEY });
const [path, language = 'French'] = process.argv.slice(2);
const MAX_PIECE_CHARS = 500;

const instructions = `You are a translator. Translate what the user sends into ${language}.
Keep the meaning, the tone and the paragraphs. Leave names of people and places as they are, and numbers and units, too.
Where a sentence can be read in two ways, take the reading that fits the sentences around it.
Translate idioms by idioms of ${language}, not word by word. Do not explain, do not summarize, do not answer questions that the text asks.
Write the translation only, without quotation marks around it and without a heading.`;

const SAMPLE = `The lighthouse stood at the end of the long pier. Every evening the keeper climbed its stairs and lit the lamp.

In winter the waves reached the door. He counted the ships that passed, and wrote their names into a book.

One night no ship came. He wrote that down, too.`;

/** Cuts a text between paragraphs, or between sentences where a paragraph is too long. */
function* piecesOf(text: string): Generator<string> {
  let piece = '';
  for (const part of text.split(/(?<=\n\n)|(?<=[.!?]) /)) {
    if (piece !== '' && piece.length + part.length > MAX_PIECE_CHARS) {
      yield piece;
      piece = '';
    }
    piece += piece === '' || piece.endsWith('\n') ? part : ` ${part}`;
    if (!piece.endsWith('\n\n')) continue;
    yield piece;
    piece = '';
  }
  if (piece.trim() !== '') yield piece;
}

async function translate(piece: string, number: number): Promise<void> {
  const start = performance.now();
  let firstMs: number | undefined;
  const stream = await client.chat.completions.create({
    model: 'kvant',
    messages: [
      { role: 'system', content: instructions },
      { role: 'user', content: piece.trim() },
    ],
    temperature: 0,
    // Hardly any translation has more tokens than its text has characters: a model that repeats itself is stopped.
    max_tokens: 50 + piece.length,
    stream: true,
    stream_options: { include_usage: true },
  });
  for await (const { choices, usage } of stream) {
    const content = choices[0]?.delta.content ?? '';
    if (content !== '') firstMs ??= performance.now() - start;
    process.stdout.write(content);
    if (!usage) continue;
    process.stdout.write('\n\n');
    const { prompt_tokens: numPrompt, completion_tokens: numTokens, prompt_tokens_details: details } = usage;
    const ttftMs = firstMs ?? performance.now() - start;
    const decodeSeconds = (performance.now() - start - ttftMs) / 1000;
    const speed = numTokens > 1 ? `${((numTokens - 1) / decodeSeconds).toFixed(1)} tokens/s` : 'one token';
    const cached = `${details?.cached_tokens ?? 0} of ${numPrompt} prompt tokens from the cache`;
    console.error(`piece ${number}: first token after ${ttftMs.toFixed(0)} ms, ${speed}, ${cached}`);
  }
}

const text = path === undefined ? SAMPLE : await readFile(path, 'utf8');
let number = 0;
for (const piece of piecesOf(text)) await translate(piece, ++number);
