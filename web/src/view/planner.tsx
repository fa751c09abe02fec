import { useEffect, useState } from 'preact/hooks';
import { ApiError } from '../api/api-error.ts';
import { planPath, type PlannedFormat, type PlanReport } from '../api/plan.ts';
import { useApp } from '../state/app-state.ts';
import { formatBits, formatBytes, formatCount } from '../text/figures.ts';
import { Icon } from './icon.tsx';

/** Waits for the end of typing. */
const PAUSE_MS = 350;

/** What fits: formats of the cache for a context and a memory. */
export function Planner() {
  const [ctx, setCtx] = useState('');
  const [memory, setMemory] = useState('');
  const { report, problem } = usePlan(ctx, memory);
  return (
    <section class="panel-section" aria-labelledby="planner-title">
      <h3 id="planner-title">What fits</h3>
      <div class="field-row">
        <label class="field">
          <span>Context, tokens</span>
          <input
            type="number"
            inputMode="numeric"
            min={1}
            placeholder={report ? String(report.ctx) : ''}
            value={ctx}
            onInput={(event) => setCtx(event.currentTarget.value)}
          />
        </label>
        <label class="field">
          <span>Memory</span>
          <input
            type="text"
            placeholder="this machine’s"
            value={memory}
            onInput={(event) => setMemory(event.currentTarget.value)}
          />
        </label>
      </div>
      {problem !== undefined && (
        <p class="hint warning" role="alert">
          {problem}
        </p>
      )}
      {report && problem === undefined && <PlanTable report={report} />}
    </section>
  );
}

function PlanTable({ report }: { readonly report: PlanReport }) {
  const { formats, choice, fixes } = report;
  return (
    <>
      <p class="hint" role="status">
        {choice
          ? `Best that fits: ${choice.kv}`
          : `Nothing fits.${fixes[0] ? ` What would: ${fixInWords(fixes[0])}.` : ''}`}
      </p>
      <div class="table-place" tabIndex={0} role="region" aria-label="Formats that fit">
        <table>
          <thead>
            <tr>
              <th scope="col">KV</th>
              <th scope="col">bits</th>
              <th scope="col">pages</th>
              <th scope="col">process</th>
              <th scope="col">longest</th>
              <th scope="col">fits</th>
            </tr>
          </thead>
          <tbody>
            {formats.map((format) => (
              <PlanRow key={format.kv} format={format} isChosen={format.kv === choice?.kv} />
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

function PlanRow({ format, isChosen }: { readonly format: PlannedFormat; readonly isChosen: boolean }) {
  return (
    <tr class={isChosen ? 'chosen' : format.fits ? '' : 'too-large'}>
      <th scope="row">{format.kv}</th>
      <td>{formatBits(format.bits_per_element)}</td>
      <td>{formatBytes(format.page_bytes)}</td>
      <td>{formatBytes(format.total_bytes)}</td>
      <td>{formatCount(format.longest_ctx)}</td>
      <td class="fits">
        <Icon name={format.fits ? 'check' : 'close'} />
        <span class="visually-hidden">{format.fits ? 'fits' : 'does not fit'}</span>
      </td>
    </tr>
  );
}

function fixInWords({ users, ctx, kv }: PlanReport['fixes'][number]): string {
  return [
    ...(kv === undefined ? [] : [`format ${kv}`]),
    ...(ctx === undefined ? [] : [`a context of ${formatCount(ctx)}`]),
    ...(users === undefined ? [] : [`${formatCount(users)} at a time`]),
  ].join(', ');
}

/** Asks the server once typing pauses; the last answer stays until there is another. */
function usePlan(ctx: string, memory: string) {
  const { api, server } = useApp();
  const [report, setReport] = useState<PlanReport | undefined>(undefined);
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const modelId = server.model.value?.id;
  useEffect(() => {
    if (modelId === undefined) return;
    const abort = new AbortController();
    const ask = async (): Promise<void> => {
      try {
        const path = planPath(ctx.trim() === '' ? undefined : Number(ctx), memory.trim() || undefined);
        setReport(await api.json<PlanReport>(path, { signal: abort.signal }));
        setProblem(undefined);
      } catch (error) {
        if (abort.signal.aborted) return;
        setProblem(error instanceof ApiError ? error.message : String(error));
      }
    };
    const timer = setTimeout(() => void ask(), PAUSE_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [ctx, memory, modelId]);
  return { report, problem };
}
