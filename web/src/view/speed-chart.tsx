import { useApp } from '../state/app-state.ts';
import { formatSpeed } from '../text/figures.ts';
import { roundTop, sparkLine } from '../text/spark-line.ts';

const WIDTH = 320;
const HEIGHT = 56;
const NUM_SLOTS = 120;

/** Speed of this page's answers over time. */
export function SpeedChart() {
  const { speed, answering } = useApp();
  const samples = speed.samples.value;
  const peak = Math.max(0, ...samples);
  const top = roundTop(peak);
  const { line, area } = sparkLine(samples, NUM_SLOTS, top, WIDTH, HEIGHT);
  const now = answering.isBusy.value ? samples.at(-1) : undefined;
  const peakInWords = `peak ${formatSpeed(peak)} tok/s`;
  const inWords = now === undefined ? peakInWords : `${formatSpeed(now)} tok/s now, ${peakInWords}`;
  const caption = samples.length > 0 ? inWords : 'no answer yet';
  return (
    <section class="panel-section" aria-labelledby="speed-title">
      <div class="section-title">
        <h3 id="speed-title">Speed</h3>
        <span class="hint">{caption}</span>
      </div>
      <svg class="speed-chart" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`Speed: ${caption}`}>
        <path class="speed-grid" d={`M0 .5H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}M0 ${HEIGHT - 0.5}H${WIDTH}`} />
        <path class="speed-area" d={area} />
        <path class="speed-line" d={line} />
        {samples.length > 1 && (
          <text class="speed-top" x="4" y="12">
            {top} tok/s
          </text>
        )}
      </svg>
    </section>
  );
}
