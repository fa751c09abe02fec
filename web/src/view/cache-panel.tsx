import type { CacheStatus } from '../api/cache-status.ts';
import { useApp } from '../state/app-state.ts';
import { formatCount, formatPercent, plural } from '../text/figures.ts';
import { CacheGauge } from './cache-gauge.tsx';
import { PageStrip } from './page-strip.tsx';
import { Planner } from './planner.tsx';
import { SpeedChart } from './speed-chart.tsx';

/** What the cache holds right now. */
export function CachePanel() {
  const { cache } = useApp();
  const status = cache.status.value;
  return (
    <div class="cache-panel">
      <div class="panel-title">
        <h2>KV cache</h2>
        {status && <Requests status={status} />}
      </div>
      {cache.problem.value !== undefined && <p class="hint warning">{cache.problem.value}</p>}
      {status ? (
        <>
          <CacheGauge memory={status.memory} />
          <PageStrip status={status} />
          <SpeedChart />
          <PrefixFigures status={status} />
        </>
      ) : (
        cache.problem.value === undefined && <CacheSkeleton />
      )}
      <Planner />
    </div>
  );
}

function Requests({ status }: { readonly status: CacheStatus }) {
  const { running, waiting } = status.requests;
  return (
    <span class={running > 0 ? 'pill active' : 'pill'}>
      {running > 0 ? `${running} running` : 'idle'}
      {waiting > 0 && `, ${waiting} waiting`}
    </span>
  );
}

/** What was spared, and what was guessed. */
function PrefixFigures({ status }: { readonly status: CacheStatus }) {
  const { prefix_cache: prefix, speculation, preemptions, audit } = status;
  return (
    <section class="panel-section" aria-labelledby="reuse-title">
      <h3 id="reuse-title">Reuse</h3>
      <dl class="figures">
        <Figure name="Prompt tokens cached">
          {formatCount(prefix.hit_tokens)} of {formatCount(prefix.queried_tokens)}
          {prefix.queried_tokens > 0 && ` · ${formatPercent(prefix.hit_rate)}`}
        </Figure>
        <Figure name="Guesses that were right">
          {formatCount(speculation.accepted)} of {formatCount(speculation.drafted)}
        </Figure>
        <Figure name="Preemptions">{formatCount(preemptions)}</Figure>
        {audit && (
          <Figure name="Audited loss to f16">
            {audit.mean_kld === null || audit.count === 0
              ? `one answer in ${audit.every}, none yet`
              : `${audit.mean_kld.toPrecision(2)} nats in ${plural(audit.count, 'answer')}`}
          </Figure>
        )}
      </dl>
    </section>
  );
}

function Figure({ name, children }: { readonly name: string; readonly children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function CacheSkeleton() {
  return (
    <div class="skeleton" role="status">
      <span class="visually-hidden">Reading the cache</span>
      <div class="skeleton-bar" />
      <div class="skeleton-block" />
      <div class="skeleton-bar" />
    </div>
  );
}
