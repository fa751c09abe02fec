/**
 * Prints how long the first token of a second question about a document takes: computed anew, found in the cache of the same process, and
 * restored from a file by a new one (the reading of the file included, the loading of the model not).
 * `node scripts/second-question.ts --text book.txt [--tokens 6000] [--runs 3] [--kv q4] [--threads 2]`
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { load, type GenerateOptions, type Model } from '../src/index.ts';

const { values } = parseArgs({
  options: {
    text: { type: 'string' },
    tokens: { type: 'string', default: '6000' },
    runs: { type: 'string', default: '3' },
    kv: { type: 'string', default: 'q4' },
    threads: { type: 'string', default: '2' },
  },
});
if (values.text === undefined) throw new Error('give a document: --text FILE');
const loadOptions = { kv: values.kv, threads: Number(values.threads) };
const folder = await mkdtemp(join(tmpdir(), 'kvant-second-question-'));
const ways = { computed: [] as number[], 'prefix hit': [] as number[], 'from a file': [] as number[] };

try {
  for (let run = 0; run < Number(values.runs); run++) {
    await using model = await load(loadOptions);
    const document = await documentOf(model, values.text);
    await model.generate({ messages: asking(document, 'Who tells the story?'), maxTokens: 1 }).result;
    const second = asking(document, 'Where does it begin?');
    await model.saveSession(join(folder, 'document.kvp'), { messages: second });
    ways['prefix hit'].push(await firstTokenMs(model, { messages: second }));
    ways.computed.push(await firstTokenMs(model, { messages: second, reusePrefix: false }));
    await model.close();

    await using other = await load(loadOptions);
    const startMs = performance.now();
    const { numPages, numTokens } = await other.loadSession(join(folder, 'document.kvp'));
    const readMs = performance.now() - startMs;
    ways['from a file'].push(readMs + (await firstTokenMs(other, { messages: second })));
    process.stdout.write(`run ${run + 1}: ${numPages} pages, ${numTokens} tokens read in ${readMs.toFixed(0)} ms\n`);
  }
  for (const [name, times] of Object.entries(ways)) {
    const [best, ...others] = times.sort((a, b) => a - b).map((ms) => ms.toFixed(0));
    process.stdout.write(`${name}: ${best} ms (other runs: ${others.join(', ') || 'none'})\n`);
  }
} finally {
  await rm(folder, { recursive: true });
}

/** The start of a text, of about so many tokens. */
async function documentOf(model: Model, path: string): Promise<string> {
  const tokens = await model.tokenize((await readFile(path, 'utf8')).slice(0, 8 * Number(values.tokens)));
  return model.detokenize(tokens.slice(0, Number(values.tokens)));
}

function asking(document: string, question: string) {
  return [{ role: 'user', content: `${document}\n\n${question}` }] as const;
}

async function firstTokenMs(model: Model, options: GenerateOptions): Promise<number> {
  const startMs = performance.now();
  for await (const { text } of model.generate({ ...options, maxTokens: 4 })) {
    if (text !== '') break;
  }
  return performance.now() - startMs;
}
