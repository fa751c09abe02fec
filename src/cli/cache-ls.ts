import type { CacheEntry } from '../sessions/cache-folder-node.ts';
import type { KvpHeader } from '../sessions/kvp-header.ts';
import { namedFiles } from './cache-files.ts';
import type { CACHE_LS_FLAGS } from './cache-flags.ts';
import type { CliContext } from './cli-context.ts';
import type { OptionsOf } from './cli-options.ts';
import { EXIT } from './exit-code.ts';
import { formatAge, formatBytes, formatCount, formatQuantity } from './format.ts';
import { Output } from './output.ts';

/** Of each file, what `--json` prints. */
export interface CacheFileReport {
  readonly path: string;
  readonly bytes: number;
  /** ISO 8601. */
  readonly used_at: string;
  /** Null where the file cannot be read; then `error` says why. */
  readonly session: SessionReport | null;
  readonly error: { readonly code: string; readonly message: string } | null;
}

interface SessionReport {
  readonly identity: string;
  readonly model: string;
  readonly model_fingerprint: string;
  readonly kv: string;
  readonly tokens: number;
  readonly pages: number;
  readonly page_size: number;
  readonly title: string | null;
  readonly messages: number | null;
  readonly created_at: string;
  readonly kvant_version: string;
}

type ReadableEntry = Extract<CacheEntry, { readonly header: KvpHeader }>;

interface Column {
  readonly heading: string;
  readonly cell: (entry: ReadableEntry, nowMs: number) => string;
  /** Numbers stand on the right. */
  readonly right?: true;
}

const MODEL_LENGTH = 40;
const ABOUT_LENGTH = 60;

const COLUMNS: readonly Column[] = [
  { heading: 'model', cell: ({ header }) => oneLine(header.modelName, MODEL_LENGTH) },
  { heading: 'kv', cell: ({ header }) => oneLine(header.kvFormat, MODEL_LENGTH) },
  { heading: 'tokens', cell: ({ header }) => formatCount(header.tokens.length), right: true },
  { heading: 'pages', cell: ({ header }) => formatCount(header.numPages), right: true },
  { heading: 'size', cell: ({ sizeBytes }) => formatBytes(sizeBytes), right: true },
  { heading: 'used', cell: ({ usedAtMs }, nowMs) => `${formatAge(nowMs - usedAtMs)} ago`, right: true },
  { heading: 'file', cell: ({ path }) => path },
  { heading: 'about', cell: ({ header }) => aboutOf(header) },
];

/**
 * Prints what session files hold. Those that cannot be read are told on stderr, or with `--json` among the others.
 *
 * @returns the exit code: 1 if one of the files that were named cannot be read
 * @throws KvantError FILE_ERROR
 */
export async function cacheLs(
  paths: readonly string[],
  { cacheDir, json }: OptionsOf<typeof CACHE_LS_FLAGS>,
  context: CliContext,
): Promise<number> {
  const { entries, places } = await namedFiles(paths, cacheDir, context);
  const output = new Output(context.stdout);
  if (json) await output.write(`${JSON.stringify({ places, files: entries.map(fileReport) })}\n`);
  else await output.write(tableOf(entries, places, Date.now()));
  const broken = json ? [] : entries.flatMap(({ error }) => (error ? [error.message] : []));
  for (const message of broken) context.stderr.write(`kvant: ${oneLine(message)}\n`);
  await output.flush();
  const wasNamed = entries.some(({ path, error }) => error !== undefined && paths.includes(path));
  return wasNamed ? EXIT.failure : EXIT.ok;
}

/** Text of a file on one line: without what moves a terminal's cursor, and cut where it is very long. */
export function oneLine(text: string, maxLength = Infinity): string {
  const characters = [...text.replace(/[\p{Cc}\p{Cf}\p{Z}]+/gu, ' ').trim()];
  if (characters.length <= maxLength) return characters.join('');
  return `${characters.slice(0, maxLength - 1).join('')}…`;
}

function tableOf(entries: readonly CacheEntry[], places: readonly string[], nowMs: number): string {
  const readable = entries.filter((entry): entry is ReadableEntry => entry.header !== undefined);
  if (readable.length === 0) return `no session files in ${places.join(', ')}\n`;
  const rows = [
    COLUMNS.map(({ heading }) => heading),
    ...readable.map((entry) => COLUMNS.map(({ cell }) => cell(entry, nowMs))),
  ];
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const line = (row: readonly string[]): string =>
    row
      .map((text, column) => (COLUMNS[column].right ? text.padStart(widths[column]) : text.padEnd(widths[column])))
      .join('  ')
      .trimEnd();
  const numBytes = readable.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return `${[...rows.map(line), '', `${formatQuantity(readable.length, 'file')}, ${formatBytes(numBytes)}`].join('\n')}\n`;
}

/** The title, or what the user said first. */
function aboutOf({ title, messages }: KvpHeader): string {
  const first = messages?.find(({ role }) => role === 'user') ?? messages?.[0];
  return oneLine(title ?? first?.content ?? '', ABOUT_LENGTH);
}

function fileReport({ path, sizeBytes, usedAtMs, header, error }: CacheEntry): CacheFileReport {
  return {
    path,
    bytes: sizeBytes,
    used_at: new Date(usedAtMs).toISOString(),
    session: header ? sessionReport(header) : null,
    error: error ? { code: error.code, message: error.message } : null,
  };
}

function sessionReport(header: KvpHeader): SessionReport {
  return {
    identity: header.identity,
    model: header.modelName,
    model_fingerprint: header.modelFingerprint,
    kv: header.kvFormat,
    tokens: header.tokens.length,
    pages: header.numPages,
    page_size: header.pageSize,
    title: header.title ?? null,
    messages: header.messages?.length ?? null,
    created_at: header.createdAt,
    kvant_version: header.kvantVersion,
  };
}
