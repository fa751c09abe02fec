import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServerMetrics } from './metrics-node.ts';
import { FAKE_STATS } from './testing/fake-stats.ts';

/** A clock that a test moves by hand. */
function metricsAt(): { metrics: ServerMetrics; clock: { ms: number } } {
  const clock = { ms: 1000 };
  return { clock, metrics: new ServerMetrics({ modelName: 'tiny', now: () => clock.ms }) };
}

/** Values by series, as in `name{label="x"}`; the label of the model, which everything has, is checked and left out. */
async function seriesOf(text: Promise<string>): Promise<Map<string, number>> {
  const series = new Map<string, number>();
  for (const line of (await text).split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const [, name, labels, value] = /^([a-z_:0-9]+)\{(.*)\} (\S+)$/.exec(line) ?? assert.fail(line);
    assert.match(labels, /model_name="tiny"/);
    const others = labels.split(',').filter((label) => !label.startsWith('model_name='));
    series.set(others.length === 0 ? name : `${name}{${others.join()}}`, Number(value));
  }
  return series;
}

test('the engine is told as vLLM tells it', async () => {
  const { metrics } = metricsAt();
  const series = await seriesOf(metrics.scrape(FAKE_STATS));
  const expected = {
    'vllm:num_requests_running': 2,
    'vllm:num_requests_waiting': 3,
    'vllm:kv_cache_usage_perc': 0.25,
    'vllm:prompt_tokens_total': 400,
    'vllm:generation_tokens_total': 70,
    'vllm:prefix_cache_queries_total': 400,
    'vllm:prefix_cache_hits_total': 100,
    'vllm:num_preemptions_total': 7,
    'vllm:spec_decode_num_drafts_total': 8,
    'vllm:spec_decode_num_draft_tokens_total': 20,
    'vllm:spec_decode_num_accepted_tokens_total': 11,
    'kvant:steps_total': 123,
    'kvant:kv_bits_per_element': 8,
    'kvant:kv_bytes_used': 8000,
    'kvant:kv_bytes_total': 20_000,
    'kvant:kv_bytes_saved': 8000,
    'kvant:kv_pages{state="open",format="q4"}': 2,
    'kvant:kv_pages{state="kept",format="q8"}': 6,
    'kvant:audits_total': 0,
    'kvant:audit_kld_count': 0,
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(series.get(name), value, name);
  assert.ok((series.get('process_resident_memory_bytes') ?? 0) > 1e6);
});

test('types and help are told, and counters grow from scrape to scrape without adding up twice', async () => {
  const { metrics } = metricsAt();
  const text = await metrics.scrape(FAKE_STATS);
  assert.match(text, /^# HELP vllm:num_requests_running .+\n# TYPE vllm:num_requests_running gauge$/m);
  assert.match(text, /^# TYPE vllm:generation_tokens_total counter$/m);
  assert.match(text, /^# TYPE vllm:time_to_first_token_seconds histogram$/m);
  assert.match(metrics.contentType, /^text\/plain; version=0\.0\.4/);
  const again = await seriesOf(metrics.scrape(FAKE_STATS));
  assert.equal(again.get('vllm:generation_tokens_total'), 70);
  const counts = { ...FAKE_STATS.counts, generatedTokens: 90 };
  const later = await seriesOf(metrics.scrape({ ...FAKE_STATS, counts }));
  assert.equal(later.get('vllm:generation_tokens_total'), 90);
});

test('a format whose pages are gone is gone', async () => {
  const { metrics } = metricsAt();
  await metrics.scrape(FAKE_STATS);
  const pages = { ...FAKE_STATS.pages, byFormat: [] };
  const series = await seriesOf(metrics.scrape({ ...FAKE_STATS, pages }));
  assert.ok([...series.keys()].every((name) => !name.startsWith('kvant:kv_pages')));
  assert.equal(series.get('kvant:kv_bits_per_element'), 4.5);
  assert.equal(series.get('kvant:kv_bytes_saved'), 0);
});

test('a request falls into the buckets of its times; tokens that come together share theirs', async () => {
  const { metrics, clock } = metricsAt();
  const request = metrics.requestStarted();
  clock.ms += 70;
  request.tokens(2); // the first token, and one with it
  clock.ms += 60;
  request.tokens(3); // 20 ms each
  request.tokens(0);
  clock.ms += 4;
  request.tokens(1);
  clock.ms += 266;
  request.ended('length', { prompt: 30, completion: 6 });
  const series = await seriesOf(metrics.scrape());
  const bucket = (name: string, le: number): number | undefined => series.get(`vllm:${name}_bucket{le="${le}"}`);
  const ttft = 'time_to_first_token_seconds';
  assert.deepEqual([bucket(ttft, 0.06), bucket(ttft, 0.08)], [0, 1]);
  const itl = 'inter_token_latency_seconds';
  assert.deepEqual(
    [0.0025, 0.005, 0.01, 0.025, 80].map((le) => bucket(itl, le)),
    [0, 1, 1, 4, 4],
  );
  assert.ok(Math.abs((series.get(`vllm:${itl}_sum`) ?? 0) - 0.064) < 1e-9);
  assert.equal(series.get(`vllm:${itl}_bucket{le="+Inf"}`), 4);
  const e2e = 'e2e_request_latency_seconds';
  assert.deepEqual([bucket(e2e, 0.3), bucket(e2e, 0.5), series.get(`vllm:${e2e}_sum`)], [0, 1, 0.4]);
  assert.equal(series.get('vllm:request_prompt_tokens_sum'), 30);
  assert.equal(series.get('vllm:request_generation_tokens_sum'), 6);
  assert.equal(series.get('vllm:request_success_total{finished_reason="length"}'), 1);
});

test('a request ends once, and reasons have the names of vLLM', async () => {
  const { metrics } = metricsAt();
  for (const reason of ['stop', 'context', 'aborted', 'error'] as const) {
    const request = metrics.requestStarted();
    request.ended(reason);
    request.ended('stop');
  }
  const series = await seriesOf(metrics.scrape());
  const ended = [...series].filter(([name]) => name.startsWith('vllm:request_success_total'));
  assert.deepEqual(ended, [
    ['vllm:request_success_total{finished_reason="stop"}', 1],
    ['vllm:request_success_total{finished_reason="length"}', 1],
    ['vllm:request_success_total{finished_reason="abort"}', 1],
    ['vllm:request_success_total{finished_reason="error"}', 1],
  ]);
  assert.equal(series.get('vllm:time_to_first_token_seconds_count'), 0);
  assert.equal(series.get('vllm:request_prompt_tokens_count'), 0);
});

test('each audit is counted once in the histogram of its KLD', async () => {
  const { metrics } = metricsAt();
  const auditOf = (...recentKlds: number[]) => ({ every: 2, meanKld: 1, lastKld: 1, skipped: 4, recentKlds });
  const scrape = (count: number, ...klds: number[]) =>
    seriesOf(metrics.scrape({ ...FAKE_STATS, audit: { ...auditOf(...klds), count } }));
  await scrape(2, 0.002, 0.02);
  await scrape(2, 0.002, 0.02);
  const series = await scrape(3, 0.002, 0.02, 0.2);
  const bucket = (le: string): number | undefined => series.get(`kvant:audit_kld_bucket{le="${le}"}`);
  assert.deepEqual(['0.001', '0.003', '0.03', '0.1', '0.3', '+Inf'].map(bucket), [0, 1, 2, 2, 3, 3]);
  assert.equal(series.get('kvant:audit_kld_count'), 3);
  assert.ok(Math.abs((series.get('kvant:audit_kld_sum') ?? 0) - 0.222) < 1e-9);
  assert.equal(series.get('kvant:audits_total'), 3);
  assert.equal(series.get('kvant:audits_skipped_total'), 4);
  // More than are remembered: the newest count.
  assert.equal((await scrape(10, 0.2, 0.2)).get('kvant:audit_kld_count'), 5);
});

test('two servers of a process have metrics of their own', async () => {
  const [one, other] = [metricsAt(), metricsAt()];
  one.metrics.requestStarted().ended('stop');
  const series = await seriesOf(other.metrics.scrape());
  assert.equal(series.get('vllm:e2e_request_latency_seconds_count'), 0);
});
