/**
 * Measures what KV formats lose against f16 on a text. `npm run eval:kv -- --help` tells how to use it; docs/accuracy.md holds results.
 */
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { embeddedModelPath } from '../engine/embedded-model-node.ts';
import { loadEngine } from '../engine/load-engine.ts';
import { nodePlatform } from '../engine/platform-node.ts';
import { openModel } from '../model/open-model-node.ts';
import { Tokenizer } from '../tokens/tokenizer.ts';
import { measureKvLoss } from './kv-loss.ts';
import { summarize } from './kld.ts';

const HELP = `usage: npm run eval:kv -- (--text FILE | --tokens FILE.u16) [options]

Mean KL divergence of each format's cache to an f16 cache, same weights, on the running cache.

  --text FILE         UTF-8 text, tokenized without BOS
  --tokens FILE.u16   token ids as little-endian 16-bit numbers, instead of a text
  --model FILE.gguf   default: the embedded model
  --kv LIST           formats, default q8,q4
  --ctx N             tokens of a window, default 2048
  --windows N         windows from the start of the text, default 4
  --activations KIND  int8 (as it runs, the default) or f32 (the cache's error alone; slow)
  --threads N         default: the available cores
`;

const { values } = parseArgs({
  options: {
    text: { type: 'string' },
    tokens: { type: 'string' },
    model: { type: 'string' },
    kv: { type: 'string', default: 'q8,q4' },
    ctx: { type: 'string', default: '2048' },
    windows: { type: 'string', default: '4' },
    activations: { type: 'string', default: 'int8' },
    threads: { type: 'string', default: String(availableParallelism()) },
    help: { type: 'boolean', default: false },
  },
});
if (values.help || (values.text === undefined) === (values.tokens === undefined)) {
  process.stdout.write(HELP);
  process.exit(values.help ? 0 : 2);
}

const modelPath = values.model ?? embeddedModelPath();
const ctx = Number(values.ctx);
const activations = values.activations === 'f32' ? 'f32' : 'int8';
const threads = Number(values.threads);
const windows = await readWindows();
const numTokens = windows.length * ctx;
process.stdout.write(
  `${modelPath}\n${numTokens} tokens in ${windows.length} windows of ${ctx}, positions from the middle on, activations ${activations}\n` +
    'kv\tmean KLD\tmedian\t99.9%\ttop-1\tperplexity ratio\n',
);
for (const kv of values.kv.split(',')) {
  const loss = await measureKvLoss(
    async (format, platform) => {
      const options = { backend: 'wasm' as const, kv: format, ctx, threads, maxSequences: 1, requestedAtMs: 0 };
      return loadEngine(await openModel(modelPath), options, platform);
    },
    { kv, windows, activations, platform: nodePlatform, onWindow: showProgress },
  );
  const { mean, median, percentile999 } = summarize(loss.divergences);
  const figures = [mean, median, percentile999].map((value) => value.toPrecision(3));
  const ratio = loss.perplexity / loss.perplexityF16;
  process.stdout.write([kv, ...figures, loss.top1Agreement.toFixed(4), ratio.toFixed(5)].join('\t') + '\n');
}

function showProgress(done: number): void {
  if (process.stderr.isTTY)
    process.stderr.write(`\rwindow ${done} of ${windows.length}${done === windows.length ? '\r\n' : ''}`);
}

async function readWindows(): Promise<number[][]> {
  const tokens = values.tokens === undefined ? await tokenizeText() : await readTokens(values.tokens);
  const count = Math.min(Number(values.windows), Math.floor(tokens.length / ctx));
  if (count === 0) throw new RangeError(`the text has ${tokens.length} tokens, fewer than a window of ${ctx}`);
  return Array.from({ length: count }, (_, i) => tokens.slice(i * ctx, (i + 1) * ctx));
}

async function readTokens(path: string): Promise<number[]> {
  const bytes = await readFile(path);
  return Array.from({ length: bytes.length / 2 }, (_, i) => bytes.readUInt16LE(2 * i));
}

async function tokenizeText(): Promise<number[]> {
  const { tokenizerMetadata, file } = await openModel(modelPath);
  await file.close();
  return new Tokenizer(tokenizerMetadata).encode(await readFile(values.text ?? '', 'utf8'));
}
