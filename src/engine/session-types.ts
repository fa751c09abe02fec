import type { ChatMessage, GenerateOptions } from './types.ts';

/** The library's public types of session files (docs/session-format.md). Plain data; it crosses threads. */

/** Exactly one of `prompt` (raw text), `messages` (through the chat template) and `tokens`, as `generate` takes them. */
export type PromptText = Pick<GenerateOptions, 'prompt' | 'messages' | 'tokens'>;

/** Whose pages, in which format. */
export interface SessionPlace {
  /** KV cache format. Default: the one that the model was loaded with. */
  readonly kv?: string;
  /** Whose cache. Default `default`. */
  readonly tenant?: string;
}

/** A conversation whose messages end with an answer is saved without the start of the next one. */
export interface SaveSessionOptions extends PromptText, SessionPlace {
  /** What a document is called. */
  readonly title?: string;
}

export interface SavedSession {
  /** Full pages of the text that the cache had; the rest is computed again when the file is used. */
  readonly numPages: number;
  /** Tokens that they hold. */
  readonly numTokens: number;
  /** Of the file. */
  readonly numBytes: number;
}

export interface LoadSessionOptions {
  /** Format that the file must have. Default: any that the model can have. */
  readonly kv?: string;
  /** Whose cache gets the pages. Default `default`. */
  readonly tenant?: string;
}

export interface LoadedSession {
  /** Pages that are in the cache now: requests whose prompts begin with their tokens need not compute them. */
  readonly numPages: number;
  readonly numPagesInFile: number;
  /** Tokens that the restored pages hold. */
  readonly numTokens: number;
  /** All tokens of the file. */
  readonly tokens: readonly number[];
  /** Format of the pages: requests find them if they ask for it. */
  readonly kv: string;
  /** Of a conversation. */
  readonly messages?: readonly ChatMessage[];
  readonly title?: string;
  /** Why not all pages were restored, or what else is wrong with the file. */
  readonly problem?: string;
}

export interface SaveToFolderOptions extends SaveSessionOptions {
  /** Most that the folder's files may take: bytes, or a text such as `2GB`. Those that were not used for longest go. Default `2GB`. */
  readonly limit?: number | string;
}

export interface SavedToFolder extends SavedSession {
  readonly path: string;
  /** Files that had to go. */
  readonly removed: readonly string[];
}

export type LoadFromFolderOptions = PromptText & SessionPlace;

/** What a folder had of a text. */
export interface LoadedFromFolder extends Pick<LoadedSession, 'numPages' | 'numTokens' | 'title' | 'problem'> {
  readonly path: string;
  /** Full pages that the text has. */
  readonly numPagesInText: number;
}
