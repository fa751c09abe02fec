import type { CacheStatus } from '../api/cache-status.ts';
import { formatBytes } from '../text/figures.ts';

/** Bytes of the reader's own pages against what f16 would take for them; others' pages count only for how full the memory is. */
export function CacheGauge({ memory }: { readonly memory: CacheStatus['memory'] }) {
  const { used_bytes: usedByAll, f16_bytes: f16, saved_bytes: saved, total_bytes: total } = memory;
  const used = f16 - saved;
  const ratio = used > 0 ? f16 / used : undefined;
  const ofTotal = total > 0 ? usedByAll / total : 0;
  const inWords = ratio
    ? `${formatBytes(used)}, where f16 would take ${formatBytes(f16)}: ${ratio.toFixed(1)} times as much`
    : 'nothing in the cache';
  return (
    <section class="panel-section" aria-labelledby="gauge-title">
      <h3 id="gauge-title">Against f16</h3>
      <div class="gauge-figures">
        <strong class="gauge-used">{formatBytes(used)}</strong>
        <span>{ratio === undefined ? 'nothing kept yet' : <FullSize bytes={f16} />}</span>
        {ratio !== undefined && <span class="gauge-ratio">{ratio.toFixed(1)}×</span>}
      </div>
      <svg
        class="gauge"
        viewBox="0 0 100 6"
        preserveAspectRatio="none"
        role="meter"
        aria-label="Cache against f16"
        aria-valuemin={0}
        aria-valuemax={Math.max(f16, used, 1)}
        aria-valuenow={used}
        aria-valuetext={inWords}
      >
        <rect class="gauge-f16" width="100" height="6" />
        <rect class="gauge-bar" width={f16 > 0 ? Math.min(100, (used / f16) * 100) : 0} height="6" />
      </svg>
      <p class="hint">
        {formatBytes(usedByAll)} of {formatBytes(total)} for pages in use ({Math.round(ofTotal * 100)} %)
      </p>
    </section>
  );
}

function FullSize({ bytes }: { readonly bytes: number }) {
  return (
    <>
      f16 would take <b>{formatBytes(bytes)}</b>
    </>
  );
}
