import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { kvFormatName } from '../engine/options.ts';
import type { Chat, ChatMessage, GenerateResult, Model } from '../engine/types.ts';
import { errorCode, fileErrorReason, KvantError } from '../errors.ts';
import type { KvpHeader } from '../sessions/kvp-header.ts';
import { KvpFile } from '../sessions/kvp-file-node.ts';
import type { CliContext } from './cli-context.ts';
import { type CliOptions, withFlagNames } from './cli-options.ts';
import { formatCount } from './format.ts';

/** What `--session` names: a conversation that goes on, or one that is to begin. */
export interface NamedSession {
  readonly path: string;
  /** Of the file; undefined where there is none yet. */
  readonly header?: KvpHeader;
}

/**
 * Looks at the file of `--session` before a model is loaded.
 *
 * @throws KvantError FILE_ERROR, SESSION_INVALID, SESSION_MISMATCH for a file that is no conversation of this version; INVALID_OPTION if
 *   `--system` says something else than the conversation
 */
export async function findSession({ session: path, system }: CliOptions): Promise<NamedSession | undefined> {
  if (path === undefined) return undefined;
  const header = await headerOf(path);
  if (!header) return { path };
  const { messages } = header;
  if (!messages || messages.length === 0) {
    const what = `the session file "${path}" holds a document and no conversation`;
    throw new KvantError('SESSION_MISMATCH', `${what}: use another file with --session`);
  }
  checkSystem(path, messages, system);
  return { path, header };
}

/** The same options, with the file's KV format where no other is asked for. */
export function withSessionFormat(options: CliOptions, session: NamedSession | undefined): CliOptions {
  const kv = session?.header?.kvFormat;
  if (options.kv !== undefined || kv === undefined || !kvFormatName.safeParse(kv).success) return options;
  return { ...options, kv };
}

/** A conversation in a file. */
export class SessionFile {
  readonly path: string;
  readonly chat: Chat;

  private constructor(path: string, chat: Chat) {
    this.path = path;
    this.chat = chat;
  }

  /**
   * Opens the conversation and says on stderr what of its cache was restored, or begins one.
   *
   * @throws KvantError SESSION_MISMATCH if the file is of another model or format, with the ways out; SESSION_INVALID, FILE_ERROR
   */
  static async open(
    model: Model,
    { path, header }: NamedSession,
    { system }: CliOptions,
    { stderr }: CliContext,
  ): Promise<SessionFile> {
    if (!header) return new SessionFile(path, model.chat(system === undefined ? {} : { system }));
    const chat = await orWaysOut(path, () => model.openChat(path, { kv: model.info.kvFormat }));
    const { numTokens = 0, tokens = [], problem } = chat.restored ?? {};
    stderr.write(`kvant: restored ${formatCount(numTokens)} of ${formatCount(tokens.length)} tokens from ${path}\n`);
    if (problem !== undefined) stderr.write(`kvant: ${path}: ${withFlagNames(problem)}; the rest is computed again\n`);
    return new SessionFile(path, chat);
  }

  /** Whether a message of the conversation begins with a document. */
  holds(document: string): boolean {
    const text = document.trimEnd();
    return this.chat.messages.some(({ role, content }) => role === 'user' && content.startsWith(text));
  }

  /**
   * Saves the conversation with its newest answer, as far as it came; not if it was stopped before its first word.
   *
   * @throws KvantError FILE_ERROR; the file is what it was then
   */
  async save({ finishReason, completionTokens }: GenerateResult): Promise<void> {
    if (finishReason === 'aborted' && completionTokens === 0) return;
    await this.chat.save(this.path);
  }
}

async function headerOf(path: string): Promise<KvpHeader | undefined> {
  try {
    await stat(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw unreadable(path, error);
    await checkFolder(path);
    return undefined;
  }
  return orWaysOut(path, async () => {
    const file = await KvpFile.open(path);
    await file.close();
    return file.header;
  });
}

/** Before a model computes what could not be saved. */
async function checkFolder(path: string): Promise<void> {
  const folder = dirname(path);
  try {
    if ((await stat(folder)).isDirectory()) return;
  } catch (error) {
    throw unreadable(folder, error);
  }
  throw new KvantError('FILE_ERROR', `cannot write "${path}": "${folder}" is no folder`);
}

function unreadable(path: string, cause: unknown): KvantError {
  return new KvantError('FILE_ERROR', `cannot read "${path}": ${fileErrorReason(cause)}`, { cause });
}

function checkSystem(path: string, messages: readonly ChatMessage[], system: string | undefined): void {
  const [first] = messages;
  const had = first.role === 'system' ? first.content : undefined;
  if (system === undefined || system === had) return;
  const what = had === undefined ? 'without a system message' : `with the system message ${JSON.stringify(had)}`;
  const fix = 'leave --system out, or begin another conversation with another --session FILE';
  throw new KvantError('INVALID_OPTION', `--system contradicts "${path}", whose conversation began ${what}: ${fix}`);
}

/** Adds to an error about a file how to go on without it. */
async function orWaysOut<T>(path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    if (!(cause instanceof KvantError) || !cause.code.startsWith('SESSION_')) throw cause;
    const anew = 'another --session FILE begins anew';
    // What is damaged may be anything.
    const ways =
      cause.code === 'SESSION_MISMATCH' ? `${anew}, kvant cache rm ${JSON.stringify(path)} removes this one` : anew;
    throw new KvantError(cause.code, `${cause.message} (${ways})`, { cause });
  }
}
