import { againstRow, speedRow, type KvantRow, type SpeedRow } from '../../src/bench/speed-report.ts';
import type { BenchReport } from '../../src/cli/bench-command.ts';

/** What makes two reports parts of one: long comparisons are measured in pieces. */
export function subjectOf({ model, machine, node, backend }: BenchReport): string {
  return JSON.stringify([model, machine.cpu, machine.cores, node, backend]);
}

/**
 * One report of several about the same model on the same machine: runs of the same setting at the same length count as runs of one row, and what is
 * compared is compared anew.
 */
export function joinReports(reports: readonly BenchReport[]): BenchReport {
  const [first] = reports;
  if (reports.length === 1) return first;
  const rows = joinRows(reports.flatMap((report) => report.rows ?? []));
  const peers = reports.flatMap(({ peer }) => peer ?? []);
  const peerRows = joinRows(peers.flatMap((peer) => peer.rows));
  const kernels = reports.flatMap((report) => report.kernels ?? []);
  const load = reports.flatMap((report) => report.load ?? []);
  return {
    ...first,
    ...(rows.length > 0 && { rows }),
    ...(peers.length > 0 && {
      peer: { ...peers[0], rows: peerRows },
      against: rows.map((ours) => againstRow(ours, ofLength(peerRows, ours.prompt_tokens))),
    }),
    ...(kernels.length > 0 && { kernels, ceilings: reports.flatMap((report) => report.ceilings ?? []) }),
    ...(load.length > 0 && { load }),
  };
}

function ofLength(rows: readonly SpeedRow[], numTokens: number): SpeedRow[] {
  return rows.filter((row) => row.prompt_tokens === numTokens);
}

/** In order of length, then as they came. */
function joinRows<Row extends SpeedRow | KvantRow>(rows: readonly Row[]): Row[] {
  const joined = new Map<string, Row>();
  for (const row of rows) {
    const key = JSON.stringify([row.kv, row.threads, row.prompt_tokens]);
    const before = joined.get(key);
    joined.set(key, before ? joinRow(before, row) : row);
  }
  return [...joined.values()].sort((a, b) => a.prompt_tokens - b.prompt_tokens);
}

function joinRow<Row extends SpeedRow>(a: Row, b: Row): Row {
  const speeds = [a, b].flatMap((row) =>
    row.prefill_tps_runs.map((prefillTps, i) => ({
      prefillTps,
      decodeTps: row.decode_tps_runs[i] ?? undefined,
      numNewTokens: 0,
    })),
  );
  return { ...a, ...speedRow({ kv: a.kv, threads: a.threads }, a.prompt_tokens, speeds) };
}
