/**
 * Makes a page with tables and plots of what `kvant bench --json` has printed, one section for all files about the same model on the same
 * machine:
 *
 *     npm run bench:report -- docs/benchmarks.md embedded.json smol135.json
 *
 * Plots and the figures themselves go to a folder beside the page, of its name.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { BenchReport } from '../src/cli/bench-command.ts';
import { joinReports, subjectOf } from './bench-report/join.ts';
import { speedPlot, type Phase } from './bench-report/speed-plot.ts';
import { pageHeader, section } from './bench-report/page.ts';

const PHASES: readonly Phase[] = ['decode', 'prefill'];

const [page, ...inputs] = process.argv.slice(2);
if (page === undefined || !page.endsWith('.md') || inputs.length === 0) {
  process.stderr.write('usage: bench-report.ts PAGE.md REPORT.json...\n');
  process.exit(2);
}
const folder = page.replace(/\.md$/, '');
await mkdir(folder, { recursive: true });
const sections: string[] = [];
const groups = new Map<string, { readonly name: string; readonly reports: BenchReport[] }>();
for (const input of inputs) {
  const report = JSON.parse(await readFile(input, 'utf8')) as BenchReport;
  const group = groups.get(subjectOf(report)) ?? { name: basename(input, '.json'), reports: [] };
  groups.set(subjectOf(report), group);
  group.reports.push(report);
}
for (const { name, reports } of groups.values()) sections.push(await addSection(name, joinReports(reports)));
await writeFile(page, [pageHeader(), ...sections].join('\n'));

async function addSection(name: string, report: BenchReport): Promise<string> {
  await writeFile(join(folder, `${name}.json`), `${JSON.stringify(report)}\n`);
  const plots: { phase: Phase; path: string }[] = [];
  for (const phase of PHASES) {
    const svg = speedPlot(report, phase);
    if (svg === undefined) continue;
    await writeFile(join(folder, `${name}-${phase}.svg`), svg);
    plots.push({ phase, path: `${basename(folder)}/${name}-${phase}.svg` });
  }
  return section(report, { plots, dataPath: `${basename(folder)}/${name}.json` });
}
