/**
 * Makes a page with tables and plots of what `kvant bench --json` has printed, one section a file:
 *
 *     npm run bench:report -- docs/benchmarks.md embedded.json smol135.json
 *
 * Plots and the figures themselves go to a folder beside the page, of its name.
 */
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { BenchReport } from '../src/cli/bench-command.ts';
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
for (const input of inputs) sections.push(await addSection(input));
await writeFile(page, [pageHeader(), ...sections].join('\n'));

async function addSection(input: string): Promise<string> {
  const report = JSON.parse(await readFile(input, 'utf8')) as BenchReport;
  const name = basename(input, '.json');
  const data = join(folder, `${name}.json`);
  if (data !== input) await copyFile(input, data);
  const plots: { phase: Phase; path: string }[] = [];
  for (const phase of PHASES) {
    const svg = speedPlot(report, phase);
    if (svg === undefined) continue;
    await writeFile(join(folder, `${name}-${phase}.svg`), svg);
    plots.push({ phase, path: `${basename(folder)}/${name}-${phase}.svg` });
  }
  return section(report, { plots, dataPath: `${basename(folder)}/${name}.json` });
}
