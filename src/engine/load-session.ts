import { numSealedPages } from '../cache/sequence-pages.ts';
import { KvantError } from '../errors.ts';
import type { KvpHeader } from '../sessions/kvp-header.ts';
import type { KvpReport } from '../sessions/kvp-pages.ts';
import { checkKvpMatch, checkKvpModel } from '../sessions/match.ts';
import type { KvCache } from './kv-memory.ts';
import type { LoadedEngine } from './load-engine.ts';
import { sessionTokens } from './save-session.ts';
import type { SessionFile } from './session-files.ts';
import { sessionIdentity } from './session-identity.ts';
import type { LoadedFromFolder, LoadedSession, LoadFromFolderOptions, LoadSessionOptions } from './session-types.ts';

/**
 * Reads a file's pages into the cache, where requests find them. Those behind a page that is damaged are left out, and so are those for which
 * there is no room; `problem` says so. Requests go on meanwhile.
 *
 * @throws KvantError SESSION_MISMATCH if the pages are not what this engine would compute, SESSION_INVALID, FILE_ERROR; INVALID_OPTION for an
 *   unknown format
 */
export async function loadSession(
  loaded: LoadedEngine,
  { path, kv, tenant }: LoadSessionOptions & { readonly path: string },
): Promise<LoadedSession> {
  const file = await loaded.sessions.open(path);
  try {
    const { header } = file;
    const cache = await cacheOfFile(loaded, path, header, kv);
    const restored = await importPages(loaded, file, { cache, tenant, numWanted: header.numPages });
    const { messages, title } = header;
    return {
      ...restored,
      numPagesInFile: header.numPages,
      tokens: [...header.tokens],
      kv: header.kvFormat,
      ...(messages && { messages }),
      ...(title !== undefined && { title }),
    };
  } finally {
    await file.close();
  }
}

/**
 * Reads the file of a folder that has most of a text.
 *
 * @returns undefined if none has a page of it
 * @throws KvantError as `loadSession`
 */
export async function loadFromFolder(
  loaded: LoadedEngine,
  { folder, kv, tenant, ...text }: LoadFromFolderOptions & { readonly folder: string },
): Promise<LoadedFromFolder | undefined> {
  const { memory, formats } = loaded;
  const cache = kv === undefined ? memory.defaultCache : memory.cacheOf(await formats.get(kv));
  const tokens = sessionTokens(text, loaded);
  const files = loaded.sessions.folder(folder);
  const best = await files.best(cache.root, Uint32Array.from(tokens));
  if (!best) return undefined;
  const file = await loaded.sessions.open(best.path);
  try {
    checkKvpMatch(best.path, file.header, sessionIdentity(cache, loaded.sessionModel));
    const restored = await importPages(loaded, file, { cache, tenant, numWanted: best.numPages });
    await files.markUsed(best.path);
    const { title } = file.header;
    const numPagesInText = numSealedPages(cache.shape, tokens.length);
    return { ...restored, path: best.path, numPagesInText, ...(title !== undefined && { title }) };
  } finally {
    await file.close();
  }
}

/** The cache that a file's pages belong to. @param kv format that it must have */
async function cacheOfFile(
  { memory, formats, sessionModel }: LoadedEngine,
  path: string,
  header: KvpHeader,
  kv: string | undefined,
): Promise<KvCache> {
  // Another model may not even have the format.
  checkKvpModel(path, header, sessionModel);
  const format = await formats.get(kv ?? header.kvFormat).catch((error: unknown) => {
    if (kv !== undefined || !(error instanceof KvantError)) throw error;
    const message = `the session file "${path}" has a cache in the format "${header.kvFormat}", which this model has not: ${error.message}`;
    throw new KvantError('SESSION_MISMATCH', message, { cause: error });
  });
  const cache = memory.cacheOf(format);
  checkKvpMatch(path, header, sessionIdentity(cache, sessionModel));
  return cache;
}

/** There is no room for a page. */
class NoRoom extends Error {}

interface ImportPlace {
  readonly cache: KvCache;
  readonly tenant: string | undefined;
  readonly numWanted: number;
}

async function importPages(
  { engine }: LoadedEngine,
  file: SessionFile,
  { cache, tenant, numWanted }: ImportPlace,
): Promise<Pick<LoadedSession, 'numPages' | 'numTokens' | 'problem'>> {
  const importing = engine.sessions.import({ tokens: [...file.header.tokens], format: cache.format, tenant });
  const result = (problem?: string) => {
    const { numPages, numTokens } = importing;
    return { numPages, numTokens, ...(problem !== undefined && { problem }) };
  };
  try {
    const report = await file.readPages(async (page) => {
      if (!(await importing.add(page))) throw new NoRoom();
    }, numWanted);
    return result(problemOf(report, importing.numTokens));
  } catch (error) {
    if (!(error instanceof NoRoom)) throw error;
    const more = 'option "kvMemory" makes it larger';
    return result(`the KV cache has room for ${importing.numPages} of ${numWanted} pages; ${more}`);
  } finally {
    importing.release();
  }
}

function problemOf({ firstBad, reason, numPages }: KvpReport, numTokens: number): string | undefined {
  if (reason === undefined) return undefined;
  if (firstBad === undefined) return `${reason}, which were left alone`;
  return `page ${firstBad + 1} of ${numPages} is bad (${reason}): only the ${numTokens} tokens before it were restored`;
}
