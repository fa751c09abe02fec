/**
 * Sends hostile requests to a server of its own with a tiny model, and looks at every answer: see test/fuzz/. Prints what came of it, and ends
 * with 1 where something was wrong. `node scripts/fuzz-server.ts [--requests 100000] [--seed 1] [--model model.gguf]`
 */
import { parseArgs } from 'node:util';
import { load } from '../src/index.ts';
import { fuzzServer } from '../test/fuzz/fuzz-server.ts';
import { tinyModel } from '../test/support/reference.ts';

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    model: { type: 'string', default: tinyModel('llama-d64.Q8_0.gguf') },
  },
});
const numRequests = Number(values.requests);
await using model = await load({ model: values.model, ctx: 1024, maxSequences: 4, threads: 1 });
const startMs = performance.now();
const report = await fuzzServer({
  ...{ model, numRequests, seed: Number(values.seed) },
  onProgress: (numDone) => {
    if (numDone % 10_000 === 0) process.stderr.write(`${numDone} requests\n`);
  },
});
const { problems, rssBytes, ...counts } = report;
const print = (text: string): void => void process.stdout.write(`${text}\n`);
print(`${numRequests} hostile requests in ${((performance.now() - startMs) / 1000).toFixed(0)} s`);
for (const [name, count] of Object.entries(counts)) print(`${name}: ${JSON.stringify(count)}`);
print(`MB resident after each tenth: ${rssBytes.map((bytes) => (bytes / 1e6).toFixed(0)).join(', ')}`);
for (const problem of problems) print(problem);
print(problems.length === 0 ? 'nothing was wrong' : `${problems.length} problems`);
process.exitCode = problems.length === 0 ? 0 : 1;
