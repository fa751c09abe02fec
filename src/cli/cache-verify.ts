import { KvantError } from '../errors.ts';
import type { KvpHeader } from '../sessions/kvp-header.ts';
import { verifyKvp } from '../sessions/kvp-file-node.ts';
import type { KvpReport } from '../sessions/kvp-pages.ts';
import { namedFiles } from './cache-files.ts';
import type { CACHE_VERIFY_FLAGS } from './cache-flags.ts';
import { oneLine } from './cache-ls.ts';
import type { CliContext } from './cli-context.ts';
import type { OptionsOf } from './cli-options.ts';
import { EXIT } from './exit-code.ts';
import { formatCount, formatQuantity } from './format.ts';
import { Output } from './output.ts';

/** Of each file, what `--json` prints. */
export interface VerifiedFileReport {
  readonly path: string;
  readonly whole: boolean;
  /** Null where the header cannot be read. */
  readonly pages: number | null;
  /** Pages before the first bad one. */
  readonly good_pages: number;
  /** Counted from 0; null where no page is bad. */
  readonly first_bad: number | null;
  /** Tokens whose pages are good. */
  readonly usable_tokens: number;
  readonly reason: string | null;
}

/**
 * Reads session files to their end, and tells of each whether it is whole, and if not, how far it can be used.
 *
 * @returns the exit code: 1 if one is not whole
 * @throws KvantError FILE_ERROR
 */
export async function cacheVerify(
  paths: readonly string[],
  { cacheDir, json }: OptionsOf<typeof CACHE_VERIFY_FLAGS>,
  context: CliContext,
): Promise<number> {
  const { entries, places } = await namedFiles(paths, cacheDir, context);
  const output = new Output(context.stdout);
  const reports: VerifiedFileReport[] = [];
  for (const { path } of entries) {
    const report = await verify(path);
    reports.push(report);
    if (!json) await output.write(`${lineOf(report)}\n`);
    if (output.closed.aborted) break;
  }
  if (json) await output.write(`${JSON.stringify({ places, files: reports })}\n`);
  else if (entries.length === 0) await output.write(`no session files in ${places.join(', ')}\n`);
  await output.flush();
  return reports.every(({ whole }) => whole) ? EXIT.ok : EXIT.failure;
}

async function verify(path: string): Promise<VerifiedFileReport> {
  try {
    const { header, report } = await verifyKvp(path);
    return {
      path,
      whole: report.reason === undefined,
      pages: report.numPages,
      good_pages: report.numGood,
      first_bad: report.firstBad ?? null,
      usable_tokens: usableTokens(header, report),
      reason: report.reason ?? null,
    };
  } catch (error) {
    if (!(error instanceof KvantError)) throw error;
    const none = { pages: null, good_pages: 0, first_bad: null, usable_tokens: 0 };
    return { path, whole: false, ...none, reason: error.message };
  }
}

function usableTokens({ numSinkTokens, pageSize }: KvpHeader, { numGood }: KvpReport): number {
  return numGood === 0 ? 0 : numSinkTokens + numGood * pageSize;
}

function lineOf({ path, whole, pages, good_pages, first_bad, usable_tokens, reason }: VerifiedFileReport): string {
  if (pages === null) return `${path}: bad: ${oneLine(reason ?? '')}`;
  const tokens = formatQuantity(usable_tokens, 'token');
  if (whole) return `${path}: whole: ${formatQuantity(pages, 'page')} of ${tokens}`;
  if (first_bad === null) return `${path}: bad: ${reason}; all ${formatQuantity(pages, 'page')} can be used`;
  const good = `${formatCount(good_pages)} of ${formatQuantity(pages, 'page')}`;
  return `${path}: bad: ${good} can be used, ${tokens}; of the next one, ${reason}; the rest is computed again`;
}
