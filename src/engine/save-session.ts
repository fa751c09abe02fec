import { numTokensIn } from '../cache/sequence-pages.ts';
import { KvantError } from '../errors.ts';
import type { KvpHeader } from '../sessions/kvp-header.ts';
import type { KvpPage } from '../sessions/kvp-pages.ts';
import { encodePrompt } from './create-request.ts';
import type { LoadedEngine } from './load-engine.ts';
import { sessionIdentity } from './session-identity.ts';
import type { CachedPages } from './session-pages.ts';
import type { PromptText, SavedSession, SavedToFolder, SaveSessionOptions } from './session-types.ts';

/**
 * Writes a file with what the cache has of a text: pages as they are, and all tokens. Requests go on meanwhile.
 *
 * @throws KvantError INVALID_OPTION for an unknown format, or a text without messages of which the cache has nothing; FILE_ERROR
 */
export function saveSession(
  loaded: LoadedEngine,
  { path, ...text }: SaveSessionOptions & { readonly path: string },
): Promise<SavedSession> {
  return save(loaded, text, (header, pages) => loaded.sessions.save(path, header, pages));
}

/** The same into a folder, under a name that tokens and format give. @throws KvantError as `saveSession` */
export function saveToFolder(
  loaded: LoadedEngine,
  { folder, limit, ...text }: SaveSessionOptions & { readonly folder: string; readonly limit?: number | undefined },
): Promise<SavedToFolder> {
  return save(loaded, text, (header, pages) => loaded.sessions.folder(folder).save(header, pages, limit));
}

/** Token ids of a text; a conversation ends with its last answer, or where the next one begins. @param text checked already */
export function sessionTokens(text: PromptText, loaded: LoadedEngine): readonly number[] {
  const { messages } = text;
  if (messages?.at(-1)?.role !== 'assistant') return encodePrompt(text, loaded);
  return loaded.chatTemplate().encode(messages, { addGenerationPrompt: false });
}

/** A page went while the file was being written, as a request needed its room. */
class PageGone extends Error {
  readonly index: number;

  constructor(index: number) {
    super(`page ${index} is gone`);
    this.index = index;
  }
}

async function save<Written extends { readonly numBytes: number }>(
  loaded: LoadedEngine,
  { kv, tenant, ...text }: SaveSessionOptions,
  write: (header: KvpHeader, pages: AsyncIterable<KvpPage>) => Promise<Written>,
): Promise<Written & SavedSession> {
  const tokens = sessionTokens(text, loaded);
  const { memory, formats, engine } = loaded;
  const cache = kv === undefined ? memory.defaultCache : memory.cacheOf(await formats.get(kv));
  const header = {
    ...sessionIdentity(cache, loaded.sessionModel),
    tokens: Uint32Array.from(tokens),
    createdAt: new Date().toISOString(),
    kvantVersion: await loaded.sessions.version(),
    ...(text.messages && { messages: text.messages }),
    ...(text.title !== undefined && { title: text.title }),
  };
  const cached = await engine.sessions.find({ tokens, format: cache.format, tenant });
  try {
    for (let { numPages } = cached; ;) {
      if (numPages === 0 && !text.messages) throw nothingCached(tokens.length, numTokensIn(cache.shape, 1));
      try {
        const written = await write({ ...header, numPages }, pagesOf(cached, numPages));
        return { ...written, numPages, numTokens: numTokensIn(cache.shape, numPages) };
      } catch (error) {
        if (!(error instanceof PageGone)) throw error;
        // Fewer pages each time, so that it ends.
        numPages = error.index;
      }
    }
  } finally {
    cached.release();
  }
}

async function* pagesOf(cached: CachedPages, numPages: number): AsyncGenerator<KvpPage, void> {
  for (let index = 0; index < numPages; index++) {
    const page = await cached.read(index);
    if (!page) throw new PageGone(index);
    yield page;
  }
}

function nothingCached(numTokens: number, numNeeded: number): KvantError {
  const why =
    numTokens < numNeeded
      ? `they fill no page, which takes ${numNeeded}`
      : 'generate from them first, in the same format and for the same tenant';
  return new KvantError(
    'INVALID_OPTION',
    `nothing to save: the cache has no page of these ${numTokens} tokens; ${why}`,
  );
}
