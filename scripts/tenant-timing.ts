/**
 * Asks a server with two API keys whether time tells one of them what the other has in its cache. In every round the first key asks something
 * new, and then the second one asks the same, or something that nobody has asked, or (as a control, which must show) something that it has
 * asked itself before; which of them, chance decides. Prints Kolmogorov-Smirnov tests of the times, and ends with 1 where they tell something.
 * `node scripts/tenant-timing.ts [--probes 1000] [--chars 240] [--seed 1] [--model model.gguf]`
 */
import { parseArgs } from 'node:util';
import { load } from '../src/index.ts';
import { startServer } from '../src/server/testing/test-server.ts';
import { Random } from '../test/fuzz/random.ts';
import { compareSamples } from '../test/support/kolmogorov-smirnov.ts';
import { tinyModel } from '../test/support/reference.ts';

const { values } = parseArgs({
  options: {
    probes: { type: 'string', default: '1000' },
    chars: { type: 'string', default: '240' },
    seed: { type: 'string', default: '1' },
    model: { type: 'string', default: tinyModel('llama-d64.Q8_0.gguf') },
  },
});
const NUM_PROBES = Number(values.probes);
/** It shows with few. */
const NUM_CONTROL_PROBES = Math.ceil(NUM_PROBES / 10);
const WARM_UP_ROUNDS = 50;
const KEYS = ['key-of-the-owner', 'key-of-the-other'];
const KINDS = ["another key's", "nobody's", 'its own'] as const;
type Kind = (typeof KINDS)[number];

const random = new Random(Number(values.seed));
await using model = await load({ model: values.model, ctx: 1024, maxSequences: 2, threads: 1 });
const server = await startServer({ model, options: { apiKey: KEYS } });

interface Probe {
  readonly ms: number;
  readonly cachedTokens: number;
}

/** Words that nobody has used, so that no cache of words is the same for all. */
function newText(): string {
  const letters = Array.from({ length: Number(values.chars) }, (_, i) =>
    i % 7 === 6 ? ' ' : String.fromCharCode(97 + random.below(26)),
  );
  return letters.join('');
}

async function ask(key: string, content: string): Promise<Probe> {
  const body = JSON.stringify({ messages: [{ role: 'user', content }], max_tokens: 1, temperature: 0 });
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
  const startMs = performance.now();
  const response = await fetch(`${server.url}/v1/chat/completions`, { method: 'POST', headers, body });
  const text = await response.text();
  const ms = performance.now() - startMs;
  if (response.status !== 200) throw new Error(text);
  const answer = JSON.parse(text) as { usage: { prompt_tokens_details: { cached_tokens: number } } };
  return { ms, cachedTokens: answer.usage.prompt_tokens_details.cached_tokens };
}

async function round(kind: Kind): Promise<Probe> {
  const [owned, other] = [newText(), newText()];
  await ask(KEYS[0], owned);
  if (kind === 'its own') await ask(KEYS[1], other);
  return ask(KEYS[1], kind === "another key's" ? owned : other);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

const probes: Readonly<Record<Kind, Probe[]>> = { "another key's": [], "nobody's": [], 'its own': [] };
for (let i = 0; i < WARM_UP_ROUNDS; i++) await round(random.pick(KINDS));
for (;;) {
  const left = KINDS.filter((kind) => probes[kind].length < (kind === 'its own' ? NUM_CONTROL_PROBES : NUM_PROBES));
  if (left.length === 0) break;
  const kind = random.pick(left);
  probes[kind].push(await round(kind));
}
await server.drain(0);

const times = (kind: Kind): number[] => probes[kind].map(({ ms }) => ms);
for (const kind of KINDS) {
  const sorted = times(kind).sort((a, b) => a - b);
  const found = probes[kind].map(({ cachedTokens }) => cachedTokens);
  print(
    `${kind}: ${sorted.length} probes, ${sorted[sorted.length >> 1].toFixed(2)} ms in the median, ` +
      `${Math.min(...found)} to ${Math.max(...found)} tokens found`,
  );
}
const told = compareSamples(times("another key's"), times("nobody's"));
const control = compareSamples(times('its own'), times("nobody's"));
print(`another key's against nobody's: D = ${told.distance.toFixed(4)}, p = ${told.p.toFixed(3)}`);
print(`control, its own against nobody's: D = ${control.distance.toFixed(4)}, p = ${control.p.toExponential(1)}`);
const isApart = probes["another key's"].every(({ cachedTokens }) => cachedTokens === 0);
process.exitCode = isApart && told.p > 0.05 && control.p < 0.001 ? 0 : 1;
