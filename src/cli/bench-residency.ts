import { CONVERSATION_TRACE_DEFAULTS, conversationTrace } from '../bench/conversation-trace.ts';
import { readModelShape, type ModelShape } from '../bench/model-shape-node.ts';
import { parseMooncakeTrace } from '../bench/mooncake-trace.ts';
import { PagedResidency } from '../bench/paged-residency.ts';
import { countResident, replayTrace, type ReplayResult, type ResidencyModel } from '../bench/residency.ts';
import { numTokensOf, type TraceRequest } from '../bench/trace.ts';
import { KvantError } from '../errors.ts';
import { RESIDENCY_DEFAULTS, type RESIDENCY_FLAGS } from './bench-residency-flags.ts';
import type { BenchSession } from './bench-session.ts';
import { headingLine, rowLine, type Column } from './bench-table.ts';
import type { OptionsOf } from './cli-options.ts';
import { formatBytes, formatCount, formatFixed, formatQuantity } from './format.ts';
import { definedOnly } from './load-model.ts';
import { readTextFile } from './text-file.ts';

export type ResidencyOptions = OptionsOf<typeof RESIDENCY_FLAGS>;

/** Long enough to be a conversation, short enough for the smallest context. */
const CONVERSATION_TOKENS = 2048;
/** Requests between two moments in which other events of the thread happen. */
const REQUESTS_AT_A_TIME = 16;
/** A cache in which everything stays. */
const UNLIMITED_BYTES = 2 ** 46;

/** A format, as `--json` prints it. */
export interface ResidencyRow {
  readonly kv: string;
  /** Conversations of 2,048 tokens, with nothing in common, that are there at a time. */
  readonly conversations: number;
  /** Of these and of others that are there in part. */
  readonly resident_tokens: number;
  /** Of the prompt tokens of the trace. */
  readonly hit_tokens: number;
  readonly hit_rate: number;
  /** Requests that the whole cache is too small for: none of their tokens is a hit. */
  readonly too_long: number;
  readonly page_bytes: number;
}

/** Residency, as `--json` prints it. */
export interface ResidencySection {
  readonly model: string;
  readonly settings: {
    readonly kv_memory_bytes: number;
    readonly conversation_tokens: number;
    readonly trace: string;
    readonly requests: number;
    readonly prompt_tokens: number;
    /** Requests of the trace that are longer than the context, and no part of any figure. */
    readonly left_out: number;
    /** What could be hit if nothing ever went. */
    readonly hit_rate_unlimited: number;
  };
  readonly residency: readonly ResidencyRow[];
}

const COLUMNS: readonly Column<ResidencyRow>[] = [
  { heading: 'kv', width: 8, cell: ({ kv }) => kv },
  { heading: 'page kB', width: 10, cell: ({ page_bytes }) => formatFixed(page_bytes / 1000, 1) },
  { heading: 'conversations', width: 15, cell: ({ conversations }) => formatCount(conversations) },
  { heading: 'tokens', width: 9, cell: ({ resident_tokens }) => formatCount(resident_tokens) },
  { heading: 'hits', width: 9, cell: ({ hit_rate }) => formatPercent(hit_rate) },
  { heading: 'hit tokens', width: 13, cell: ({ hit_tokens }) => formatCount(hit_tokens) },
  { heading: 'too long', width: 10, cell: ({ too_long }) => formatCount(too_long) },
];

/**
 * Measures how much stays in a KV cache of a certain size: how many conversations, and how many of a trace's prompt tokens are there when they
 * are asked for; for every format.
 *
 * @throws KvantError INVALID_OPTION, INVALID_INPUT and FILE_ERROR for a trace, and as loading a model does
 */
export async function benchResidency(options: ResidencyOptions, session: BenchSession): Promise<ResidencySection> {
  const { kvMemory: numBytes = RESIDENCY_DEFAULTS.kvMemory, kv = RESIDENCY_DEFAULTS.kv } = options;
  const paths = definedOnly({ model: options.model, calibration: options.calibration });
  const model = await readModelShape({ ...paths, kv });
  const trace = await readTrace(options, model.ctx);
  const all = await replay(unlimited(model), trace, { model, session }, 'everything that could be hit');
  const settings = {
    kv_memory_bytes: numBytes,
    conversation_tokens: CONVERSATION_TOKENS,
    trace: trace.name,
    requests: trace.requests.length,
    prompt_tokens: all.numPromptTokens,
    left_out: trace.numLeftOut,
    hit_rate_unlimited: hitRate(all),
  };
  await session.print(`${titleLines(model.name, settings)}${headingLine(COLUMNS)}`);
  if (trace.numLeftOut > 0) session.note(leftOut(trace.numLeftOut, model.ctx));
  const residency: ResidencyRow[] = [];
  for (const format of model.formats) {
    const create = (): PagedResidency => new PagedResidency(format, model.shape, numBytes);
    const row = await measureFormat(format.name, create, trace, { model, session });
    residency.push(row);
    await session.print(rowLine(COLUMNS, row));
  }
  return { model: model.name, settings, residency };
}

interface Surroundings {
  readonly model: ModelShape;
  readonly session: BenchSession;
}

/** @param create an empty cache of the format */
async function measureFormat(
  kv: string,
  create: () => PagedResidency,
  trace: Trace,
  around: Surroundings,
): Promise<ResidencyRow> {
  const result = await replay(create(), trace, around, kv);
  const { vocabularySize } = around.model;
  const cache = create();
  const residents = await countResident(cache, CONVERSATION_TOKENS, {
    vocabularySize,
    onRequest: yieldTo(around.session),
  });
  return {
    kv,
    conversations: residents.numConversations,
    resident_tokens: residents.numTokens,
    hit_tokens: result.numHitTokens,
    hit_rate: hitRate(result),
    too_long: result.numTooLong,
    page_bytes: cache.pageBytes,
  };
}

function titleLines(model: string, settings: ResidencySection['settings']): string {
  const { kv_memory_bytes, trace, requests, prompt_tokens, hit_rate_unlimited } = settings;
  const sizes = `${formatBytes(kv_memory_bytes)} of pages · conversations of ${formatCount(CONVERSATION_TOKENS)} tokens`;
  const counts = `${formatQuantity(requests, 'request')}, ${formatQuantity(prompt_tokens, 'prompt token')}`;
  return `${model} · ${sizes}\n${trace}: ${counts}, of which ${formatPercent(hit_rate_unlimited)} could be hit\n`;
}

interface Trace {
  readonly name: string;
  readonly requests: readonly TraceRequest[];
  readonly numLeftOut: number;
}

/** @param ctx longest request, answer included */
async function readTrace({ trace, seed, conversations }: ResidencyOptions, ctx: number): Promise<Trace> {
  if (trace === undefined) {
    const [ofSeed, numConversations] = [
      seed ?? RESIDENCY_DEFAULTS.seed,
      conversations ?? RESIDENCY_DEFAULTS.conversations,
    ];
    const shape = { ...CONVERSATION_TRACE_DEFAULTS, seed: ofSeed, numConversations, maxTokens: ctx };
    const name = `${formatQuantity(numConversations, 'chat')} of seed ${ofSeed}`;
    return { name, requests: conversationTrace(shape), numLeftOut: 0 };
  }
  for (const [flag, value] of Object.entries({ seed, conversations })) {
    if (value !== undefined)
      throw new KvantError('INVALID_OPTION', `--${flag} has no place with --trace: it makes chats`);
  }
  const requests = parseMooncakeTrace(await readTextFile(trace), `"${trace}"`);
  const fitting = requests.filter(({ prompt, output }) => numTokensOf([...prompt, output]) <= ctx);
  if (fitting.length > 0) return { name: trace, requests: fitting, numLeftOut: requests.length - fitting.length };
  throw new KvantError('INVALID_INPUT', `no request of "${trace}" fits into a context of ${formatCount(ctx)} tokens`);
}

/** What could be hit does not depend on the format but for where its pages end: f16's are as good as any. */
function unlimited({ formats, shape }: ModelShape): ResidencyModel {
  return new PagedResidency(formats[0], shape, UNLIMITED_BYTES);
}

async function replay(
  residency: ResidencyModel,
  { requests }: Trace,
  { model, session }: Surroundings,
  what: string,
): Promise<ReplayResult> {
  session.progress(() => `replaying ${formatQuantity(requests.length, 'request')}: ${what}`);
  const { vocabularySize } = model;
  return replayTrace(residency, requests, { vocabularySize, onRequest: yieldTo(session) });
}

/** Lets Ctrl-C and the progress line happen. */
function yieldTo({ signal }: BenchSession): (index: number) => Promise<void> {
  return async (index) => {
    if (index % REQUESTS_AT_A_TIME === 0) await new Promise((resolve) => setImmediate(resolve));
    signal.throwIfAborted();
  };
}

function hitRate({ numHitTokens, numPromptTokens }: ReplayResult): number {
  return numHitTokens / numPromptTokens;
}

function formatPercent(share: number): string {
  return `${formatFixed(100 * share, 1)}%`;
}

function leftOut(count: number, ctx: number): string {
  return `${formatQuantity(count, 'request')} of the trace left out: longer than the model's context of ${formatCount(ctx)} tokens`;
}
