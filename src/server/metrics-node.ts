import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { EngineStats } from '../index.ts';
import { EngineMetrics } from './engine-metrics.ts';
import { RequestMetrics, type RequestSeries } from './request-metrics.ts';

/** Buckets of vLLM, with finer ones below: small models answer in milliseconds. In seconds. */
const FIRST_TOKEN_BUCKETS = [
  ...[0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75],
  ...[1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560],
];
const INTER_TOKEN_BUCKETS = [
  ...[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75],
  ...[1, 2.5, 5, 7.5, 10, 20, 40, 80],
];
const END_TO_END_BUCKETS = [
  ...[0.05, 0.1, 0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60],
  ...[120, 240, 480, 960, 1920, 7680],
];
const TOKEN_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000];

export interface ServerMetricsOptions {
  /** The label `model_name` of everything. */
  readonly modelName: string;
  /** Milliseconds of a clock that never goes back. Default: `performance.now`. */
  readonly now?: () => number;
}

/**
 * What a server tells Prometheus. Names that begin with `vllm:` mean what they mean in vLLM (https://docs.vllm.ai/en/stable/usage/metrics/), so
 * that its dashboards show them; those of `kvant:` are our own. Nothing is kept outside of this object.
 */
export class ServerMetrics {
  readonly #registry = new Registry();
  readonly #engine: EngineMetrics;
  readonly #requests: RequestSeries;
  readonly #now: () => number;

  constructor({ modelName, now = () => performance.now() }: ServerMetricsOptions) {
    this.#now = now;
    this.#registry.setDefaultLabels({ model_name: modelName });
    this.#engine = new EngineMetrics(this.#registry);
    this.#requests = createRequestSeries(this.#registry);
    addProcessMemory(this.#registry);
  }

  /** Of what `scrape` returns. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** A request has come: tell the object that it gets of its tokens and its end. */
  requestStarted(): RequestMetrics {
    return new RequestMetrics(this.#requests, this.#now);
  }

  /**
   * All metrics, in Prometheus' text format.
   *
   * @param stats of all tenants; the engine's metrics stay as they were where absent, as when it has failed
   */
  scrape(stats?: EngineStats): Promise<string> {
    if (stats) this.#engine.update(stats);
    return this.#registry.metrics();
  }
}

function createRequestSeries(registry: Registry): RequestSeries {
  const histogram = (name: string, help: string, buckets: number[]): Histogram =>
    new Histogram({ name, help, buckets, registers: [registry] });
  return {
    timeToFirstToken: histogram(
      'vllm:time_to_first_token_seconds',
      'From a request to its first token.',
      FIRST_TOKEN_BUCKETS,
    ),
    interTokenLatency: histogram(
      'vllm:inter_token_latency_seconds',
      'From one token to the next.',
      INTER_TOKEN_BUCKETS,
    ),
    endToEnd: histogram('vllm:e2e_request_latency_seconds', 'From a request to its end.', END_TO_END_BUCKETS),
    promptTokens: histogram('vllm:request_prompt_tokens', 'Tokens of a prompt.', TOKEN_BUCKETS),
    generationTokens: histogram('vllm:request_generation_tokens', 'Tokens of an answer.', TOKEN_BUCKETS),
    ended: new Counter({
      name: 'vllm:request_success_total',
      help: 'Requests that have ended, by reason.',
      labelNames: ['finished_reason'],
      registers: [registry],
    }),
  };
}

function addProcessMemory(registry: Registry): void {
  const memory: Gauge = new Gauge({
    name: 'process_resident_memory_bytes',
    help: 'Resident memory of the process.',
    registers: [registry],
    collect: () => memory.set(process.memoryUsage.rss()),
  });
}
