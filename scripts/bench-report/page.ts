import type { CeilingRow, KernelRow } from '../../src/bench/kernel-bench-node.ts';
import { describePeerSetting } from '../../src/bench/peer-protocol.ts';
import { settingOfRatio, type AgainstRow, type KvantRow, type RatioRow } from '../../src/bench/speed-report.ts';
import type { BenchReport } from '../../src/cli/bench-command.ts';
import type { LoadRow } from '../../src/cli/bench-load.ts';
import type { Phase } from './speed-plot.ts';

export function pageHeader(): string {
  return `# Benchmarks

Made by \`npm run bench:report\` from what \`kvant bench --json\` measured. Your own:

    npm run --silent kvant -- bench --kv f16,q8,q4 --ctx 128,1024,4096,8000 --json > mine.json
    npm run bench:report -- mine.md mine.json

With \`--against node-llama-cpp\` (after \`npm run bench:peers\`, which installs it in \`bench/peers/\`) the same prompts go in turn to llama.cpp in a process of its
own, on a GPU where ours runs on one: flash attention on, each type of its KV cache with each number of threads. \`kvant bench attention matmul load\` measures kernels, cold starts and
memory. \`npx node scripts/random-gguf.ts OUT.gguf smol135 q4_0\` writes a model of random weights, of that and of larger shapes.

Prefill is the tokens of the prompt by the time to the first token; decode is the tokens after it by the time that they took. Figures are best runs; the JSON files
have the medians and every run. Prompts are random tokens, the same for both engines.
`;
}

export interface SectionFiles {
  readonly plots: readonly { readonly phase: Phase; readonly path: string }[];
  readonly dataPath: string;
}

/** Everything that one report holds. */
export function section(report: BenchReport, { plots, dataPath }: SectionFiles): string {
  const { machine, backend, node, peer, settings, rows, against, ceilings, kernels, load } = report;
  const parts = [
    `## ${[report.model, ...(backend ? [backend.isa] : []), `Node ${node.replace('v', '')}`].join(' · ')}\n`,
    `${machine.cpu}, ${machine.cores} cores, ${machine.platform}` +
      (backend ? `; ${backend.name}, ${backend.threads} threads` : '') +
      (peer
        ? `; against ${peer.name} ${peer.version} with threads: ${listOf(peer.rows.map((row) => row.threads))}`
        : '') +
      (settings ? `. ${settings.new_tokens} tokens after each prompt, best of ${settings.runs}` : '') +
      `. [All figures](${dataPath})\n`,
    ...plots.map(({ phase, path }) => `![${phase} against context](${path})\n`),
    rows && speedTable(rows),
    peer && against && decodeTable(against, rows ?? [], peer.name),
    peer && against && prefillTable(against, rows ?? [], peer.name),
    kernels && ceilings && kernelTable(kernels, ceilings),
    load && loadTable(load),
  ];
  return parts.filter((part) => part !== undefined).join('\n');
}

function speedTable(rows: readonly KvantRow[]): string {
  return table(
    ['kv', 'context', 'prefill tok/s', 'decode tok/s', 'bits/element', 'cache MB'],
    rows.map((row) => [
      row.kv,
      count(row.prompt_tokens),
      fixed(row.prefill_tps),
      fixed(row.decode_tps),
      fixed(row.bits_per_element, 2),
      megabytes(row.bytes),
    ]),
  );
}

function decodeTable(against: readonly AgainstRow[], rows: readonly KvantRow[], peer: string): string {
  return table(
    ['kv', 'context', 'decode tok/s', `${peer}'s best`, 'with', 'ratio'],
    against.map((row) => [
      row.kv,
      count(row.prompt_tokens),
      fixed(ourRow(rows, row)?.decode_tps),
      fixed(row.decode?.peer_tps),
      row.decode ? describePeerSetting(settingOfRatio(row.decode)) : '-',
      ratio(row.decode),
    ]),
  );
}

function prefillTable(against: readonly AgainstRow[], rows: readonly KvantRow[], peer: string): string {
  const types = [...new Set(against.flatMap(({ prefill }) => prefill.map(({ peer_kv }) => peer_kv)))];
  return table(
    ['kv', 'context', 'prefill tok/s', ...types.flatMap((type) => [`${peer} ${type}`, 'ratio'])],
    against.map((row) => [
      row.kv,
      count(row.prompt_tokens),
      fixed(ourRow(rows, row)?.prefill_tps),
      ...types.flatMap((type) => {
        const found = row.prefill.find(({ peer_kv }) => peer_kv === type);
        return [fixed(found?.peer_tps), ratio(found ?? null)];
      }),
    ]),
  );
}

function kernelTable(kernels: readonly KernelRow[], ceilings: readonly CeilingRow[]): string {
  const most = ceilings.map(
    ({ threads: number, gmacs_per_s, gbytes_per_s }) =>
      `${threads(number)}: ${fixed(gmacs_per_s)} GMAC/s of dot products, ${fixed(gbytes_per_s)} GB/s read from memory`,
  );
  const rows = kernels.map((row) => [
    `${row.kernel} ${row.what}`,
    row.ctx === null ? '' : count(row.ctx),
    `${row.rows}`,
    `${row.threads}`,
    fixed(row.gmacs_per_s),
    percent(row.share_of_dots),
    fixed(row.gbytes_per_s),
    percent(row.share_of_reading),
  ]);
  const headings = ['kernel', 'context', 'rows', 'threads', 'GMAC/s', 'of dots', 'GB/s', 'of reading'];
  return `Kernels alone; this machine at most, ${most.join('; ')}.\n\n${table(headings, rows)}`;
}

function loadTable(load: readonly LoadRow[]): string {
  const headings = [
    'kv',
    'context',
    'process start to first token',
    'load',
    'weights',
    'pages',
    'peak resident',
    'over weights and pages',
  ];
  const rows = load.map((row) => [
    row.kv,
    count(row.ctx),
    `${count(row.first_token_ms)} ms`,
    `${count(row.load_ms)} ms`,
    ...[row.weight_bytes, row.page_bytes, row.peak_rss_bytes].map((bytes) => `${megabytes(bytes)} MB`),
    `${megabytes(row.peak_rss_bytes - row.weight_bytes - row.page_bytes)} MB`,
  ]);
  return `Cold starts, of a fresh process with a prompt of 16 tokens, and memory with the whole context filled.\n\n${table(headings, rows)}`;
}

function ourRow(rows: readonly KvantRow[], { kv, prompt_tokens }: AgainstRow): KvantRow | undefined {
  return rows.find((row) => row.kv === kv && row.prompt_tokens === prompt_tokens);
}

function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;
  return line(headings) + line(headings.map(() => '---')) + rows.map(line).join('');
}

function ratio(row: RatioRow | null): string {
  return row ? `**${fixed(row.ratio, 2)}x**` : '-';
}

/** `1, 2` */
function listOf(values: readonly number[]): string {
  return [...new Set(values)].join(', ');
}

function threads(number: number): string {
  return `${number} thread${number === 1 ? '' : 's'}`;
}

function percent(share: number): string {
  return `${fixed(100 * share, 0)}%`;
}

function megabytes(bytes: number): string {
  return fixed(bytes / 1e6);
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function fixed(value: number | null | undefined, digits = 1): string {
  if (value === null || value === undefined) return '-';
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
