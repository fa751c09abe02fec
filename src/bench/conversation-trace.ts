import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { numTokensOf, type Span, type TraceRequest } from './trace.ts';

/** A log-normal distribution of lengths, in tokens: half are shorter than the median; `sigma` is the deviation of the logarithm. */
export interface LengthDistribution {
  readonly median: number;
  readonly sigma: number;
}

export interface ConversationTraceOptions {
  /** Same seed and options, same trace. */
  readonly seed: number;
  readonly numConversations: number;
  readonly numTenants: number;
  /** The k-th tenant has a share of conversations in proportion to 1 / k^zipfExponent. */
  readonly zipfExponent: number;
  /** Each tenant has one system prompt, with which all of its conversations begin. */
  readonly systemTokens: LengthDistribution;
  readonly userTokens: LengthDistribution;
  readonly answerTokens: LengthDistribution;
  /** After every answer the conversation ends with probability 1 / meanTurns. */
  readonly meanTurns: number;
  /** Between beginnings of conversations: exponential, so that they come as a Poisson process. */
  readonly meanGapMs: number;
  /** Between a turn of a conversation and its next: exponential. */
  readonly meanThinkMs: number;
  /** A conversation ends before a turn that would make it longer than this, its first turn excepted, which is cut. */
  readonly maxTokens: number;
}

/** About 18 conversations are under way at a time. */
export const CONVERSATION_TRACE_DEFAULTS = {
  numConversations: 200,
  numTenants: 8,
  zipfExponent: 1,
  systemTokens: { median: 400, sigma: 0.5 },
  userTokens: { median: 40, sigma: 0.8 },
  answerTokens: { median: 150, sigma: 0.7 },
  meanTurns: 4,
  meanGapMs: 5000,
  meanThinkMs: 30_000,
} as const satisfies Omit<ConversationTraceOptions, 'seed' | 'maxTokens'>;

/**
 * Makes requests of chats: tenants with a system prompt each, some far more popular than others; chats of several turns, of which each
 * turn's prompt is everything said before and a new message; and many of them at a time.
 *
 * @returns in the order of arrival
 */
export function conversationTrace(options: ConversationTraceOptions): TraceRequest[] {
  const draw = new Draw(options.seed);
  const spans = new SpanMaker(draw);
  const systems = Array.from({ length: options.numTenants }, () => spans.make(options.systemTokens));
  const tenantOf = zipf(options.numTenants, options.zipfExponent);
  const requests: TraceRequest[] = [];
  let startMs = 0;
  for (let conversation = 0; conversation < options.numConversations; conversation++) {
    startMs += draw.exponential(options.meanGapMs);
    const tenant = tenantOf(draw.uniform());
    const first = { startMs, tenant: `tenant ${tenant}`, system: systems[tenant] };
    requests.push(...turnsOf(first, options, { draw, spans }));
  }
  // Stable, so that equal moments keep the order of conversations.
  return requests.sort((a, b) => a.timestampMs - b.timestampMs);
}

interface ConversationStart {
  readonly startMs: number;
  readonly tenant: string;
  readonly system: Span;
}

function turnsOf(
  { startMs, tenant, system }: ConversationStart,
  { userTokens, answerTokens, meanTurns, meanThinkMs, maxTokens }: ConversationTraceOptions,
  { draw, spans }: { readonly draw: Draw; readonly spans: SpanMaker },
): TraceRequest[] {
  const requests: TraceRequest[] = [];
  let timestampMs = startMs;
  let history: readonly Span[] = [system];
  do {
    const turn = [spans.make(userTokens), spans.make(answerTokens)];
    const numTokens = numTokensOf([...history, ...turn]);
    if (numTokens > maxTokens && requests.length > 0) return requests;
    const [prompt, output] = fit(history, turn, numTokens - maxTokens);
    requests.push({ timestampMs, tenant, prompt, output });
    history = [...prompt, output];
    timestampMs += draw.exponential(meanThinkMs);
  } while (draw.uniform() >= 1 / meanTurns);
  return requests;
}

/** Cuts the system prompt's end off where a first turn is too long for the context. @throws RangeError if that is not enough */
function fit(history: readonly Span[], [user, answer]: readonly Span[], excess: number): [readonly Span[], Span] {
  if (excess <= 0) return [[...history, user], answer];
  const [system, ...others] = history;
  if (excess >= system.numTokens) throw new RangeError('a context that is too short for one turn');
  return [[{ ...system, numTokens: system.numTokens - excess }, ...others, user], answer];
}

/** Gives each span an id of its own. */
class SpanMaker {
  readonly #draw: Draw;
  #nextId = 0;

  constructor(draw: Draw) {
    this.#draw = draw;
  }

  make({ median, sigma }: LengthDistribution): Span {
    const numTokens = Math.max(1, Math.round(median * Math.exp(sigma * this.#draw.normal())));
    return { id: this.#nextId++, numTokens };
  }
}

class Draw {
  readonly #generator;

  constructor(seed: number) {
    this.#generator = xoroshiro128plus(seed);
  }

  /** In [0, 1). */
  uniform(): number {
    return uniformFloat64(this.#generator);
  }

  exponential(mean: number): number {
    return -mean * Math.log(1 - this.uniform());
  }

  /** Mean 0, deviation 1 (Box and Muller, 1958). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }
}

/** From a number in [0, 1) to one of `count` ranks, the first of which is the likeliest. */
function zipf(count: number, exponent: number): (random: number) => number {
  const weights = Array.from({ length: count }, (_, rank) => 1 / (rank + 1) ** exponent);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return (random) => {
    let left = random * total;
    const rank = weights.findIndex((weight) => (left -= weight) < 0);
    return rank < 0 ? count - 1 : rank;
  };
}
