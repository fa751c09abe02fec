import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { joinReports, subjectOf } from '../scripts/bench-report/join.ts';
import { placeLabels } from '../scripts/bench-report/place-labels.ts';
import { speedPoints } from '../scripts/bench-report/speed-plot.ts';
import { againstRow, speedRow, type KvantRow, type SpeedRow } from '../src/bench/speed-report.ts';
import type { BenchReport } from '../src/cli/bench-command.ts';

const run = promisify(execFile);
const SCRIPT = fileURLToPath(new URL('../scripts/bench-report.ts', import.meta.url));

function row(kv: string, threads: number, numTokens: number, tps: number): SpeedRow {
  return speedRow({ kv, threads }, numTokens, [{ prefillTps: 10 * tps, decodeTps: tps, numNewTokens: 8 }]);
}

const OURS: KvantRow[] = [row('q4', 2, 128, 200), row('q4', 2, 8000, 100)].map((ours) => {
  return { ...ours, bits_per_element: 4.5, bytes: 2e6, load_ms: 300 };
});
const PEERS = [row('F16', 1, 128, 90), row('F16', 2, 128, 100), row('F16', 1, 8000, 25), row('F16', 2, 8000, 20)];
const PEER = { name: 'peer', version: '1.0', rows: PEERS };
const REPORT: BenchReport = {
  node: 'v24.0.0',
  machine: { cpu: 'a CPU', cores: 2, memory_bytes: 8e9, platform: 'linux x64' },
  model: 'a model',
  backend: { name: 'wasm', threads: 2, isa: 'SIMD' },
  settings: { runs: 1, new_tokens: 8 },
  rows: OURS,
  peer: PEER,
  against: OURS.map((ours) => {
    return againstRow(
      ours,
      PEERS.filter(({ prompt_tokens }) => prompt_tokens === ours.prompt_tokens),
    );
  }),
};

describe('bench-report', () => {
  it('writes a page with tables, plots and the figures beside it', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'kvant-report-'));
    t.after(() => rm(folder, { recursive: true }));
    const input = join(folder, 'mine.json');
    await writeFile(input, JSON.stringify(REPORT));
    await run(process.execPath, [SCRIPT, join(folder, 'page.md'), input]);
    const page = await readFile(join(folder, 'page.md'), 'utf8');
    assert.match(
      page,
      /## a model · SIMD · Node 24\.0\.0\n\na CPU, 2 cores, linux x64; wasm, 2 threads; against peer 1\.0 with threads: 1, 2\. 8 tokens/,
    );
    assert.match(page, /\| q4 \| 8,000 \| 100\.0 \| 25\.0 \| F16, 1 thread \| \*\*4\.00x\*\* \|/);
    assert.match(page, /\| q4 \| 128 \| 2,000\.0 \| 1,000\.0 \| \*\*2\.00x\*\* \|/);
    assert.match(page, /!\[decode against context\]\(page\/mine-decode\.svg\)/);
    assert.deepEqual(JSON.parse(await readFile(join(folder, 'page/mine.json'), 'utf8')), REPORT);
    for (const phase of ['decode', 'prefill']) {
      const svg = await readFile(join(folder, `page/mine-${phase}.svg`), 'utf8');
      assert.match(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
      for (const text of ['kvant q4', 'peer F16', '8,000', `${phase}, tokens per second`]) {
        assert.ok(svg.includes(`${text}<`) || svg.includes(text), `${phase} lacks ${text}`);
      }
    }
  });

  it('joins reports about the same model on the same machine, and none about others', () => {
    const slower = {
      ...REPORT,
      rows: [{ ...OURS[0], ...row('q4', 2, 128, 150) }],
      peer: { ...PEER, rows: [row('Q8_0', 2, 128, 110)] },
    };
    const other = { ...REPORT, model: 'another model' };
    assert.equal(subjectOf(REPORT), subjectOf(slower));
    assert.notEqual(subjectOf(REPORT), subjectOf(other));
    const joined = joinReports([slower, REPORT]);
    assert.deepEqual(
      joined.rows?.map((ours) => [ours.prompt_tokens, ours.decode_tps_runs, ours.decode_tps]),
      [
        [128, [150, 200], 200],
        [8000, [100], 100],
      ],
    );
    assert.deepEqual(
      joined.against?.map(({ decode }) => [decode?.peer_kv, decode?.peer_tps]),
      [
        ['Q8_0', 110],
        ['F16', 25],
      ],
    );
  });

  it('shows of a peer the fastest number of threads at each length', () => {
    const peers = speedPoints(REPORT, 'decode').filter(({ isPeer }) => isPeer);
    assert.deepEqual(
      peers.map(({ line, numTokens, tps }) => [line, numTokens, tps]),
      [
        ['peer F16', 128, 100],
        ['peer F16', 8000, 25],
      ],
    );
  });

  it('moves labels apart, each as little as it takes', () => {
    assert.deepEqual(placeLabels([100, 10, 50], 10), [100, 10, 50]);
    assert.deepEqual(placeLabels([50, 50], 10), [45, 55]);
    const placed = placeLabels([50, 52, 54, 200], 10);
    assert.deepEqual(placed, [42, 52, 62, 200]);
  });
});
