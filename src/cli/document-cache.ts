import { basename } from 'node:path';
import type { PromptText } from '../engine/session-types.ts';
import type { Model } from '../engine/types.ts';
import { KvantError } from '../errors.ts';
import { cacheFolder } from './cache-files.ts';
import type { CliContext } from './cli-context.ts';
import { type CliOptions, withFlagNames } from './cli-options.ts';
import { formatBytes, formatCount } from './format.ts';

/** Four pages and a sink: less is computed again as fast as it is read. */
const LEAST_TOKENS = 260;

/** A document in front of a question. */
export interface DocumentPrompt {
  readonly whole: PromptText;
  /** The same without the question. */
  readonly document: PromptText;
}

/**
 * Keeps what was computed of the document of `--file` in the cache folder, so that the next question about it starts at once. What goes wrong
 * with the folder is told on stderr and stops nothing.
 */
export class DocumentCache {
  readonly #model: Model;
  readonly #folder: string;
  readonly #name: string;
  readonly #stderr: CliContext['stderr'];
  /** Of the document, while pages of it may be missing in the folder. */
  #unsaved: number[] | undefined;

  constructor(model: Model, file: string, cacheDir: string | undefined, context: CliContext) {
    this.#model = model;
    this.#folder = cacheFolder(cacheDir, context).path;
    this.#name = basename(file);
    this.#stderr = context.stderr;
  }

  /** For the options of a command; undefined where there is no document, or its cache is not wanted. */
  static of(model: Model, options: CliOptions, context: CliContext): DocumentCache | undefined {
    const { file, session, cache, cacheDir } = options;
    if (file === undefined || session !== undefined || cache === false) return undefined;
    return new DocumentCache(model, file, cacheDir, context);
  }

  /**
   * Reads pages that the folder has of a document, and says how many tokens they hold.
   *
   * @throws KvantError what `generate` would throw for the prompt
   */
  async restore({ whole, document }: DocumentPrompt): Promise<void> {
    const [wholeTokens, documentTokens] = [await this.#model.encode(whole), await this.#model.encode(document)];
    const tokens = commonStart(wholeTokens, documentTokens);
    const isTooLong = wholeTokens.length >= this.#model.info.ctx;
    if (tokens.length < LEAST_TOKENS || isTooLong) return;
    this.#unsaved = tokens;
    await this.#orWarn('cannot be restored', async () => {
      const restored = await this.#model.loadFromFolder(this.#folder, { tokens });
      if (!restored) return;
      const { numPages, numPagesInText, numTokens, path, problem } = restored;
      this.#say(`restored ${formatCount(numTokens)} of ${formatCount(tokens.length)} tokens of ${this.#name}`);
      if (problem !== undefined) this.#say(`${path}: ${withFlagNames(problem)}; the rest is computed again`);
      if (numPages === numPagesInText) this.#unsaved = undefined;
    });
  }

  /** Writes the document's pages, if the folder does not have them all. */
  async save(): Promise<void> {
    const tokens = this.#unsaved;
    this.#unsaved = undefined;
    if (!tokens) return;
    await this.#orWarn('was not kept', async () => {
      const saved = await this.#model.saveToFolder(this.#folder, { tokens, title: this.#name });
      const { numTokens, numBytes, removed } = saved;
      const gone = removed.length > 0 ? `, in place of ${formatCount(removed.length)} others` : '';
      this.#say(
        `kept ${formatCount(numTokens)} tokens of ${this.#name} in ${this.#folder} (${formatBytes(numBytes)})${gone}`,
      );
    });
  }

  async #orWarn(what: string, act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      if (!(error instanceof KvantError) || error.code.startsWith('ENGINE_')) throw error;
      this.#say(`the cache of ${this.#name} ${what}: ${withFlagNames(error.message)}`);
    }
  }

  #say(text: string): void {
    this.#stderr.write(`kvant: ${text}\n`);
  }
}

function commonStart(a: readonly number[], b: readonly number[]): number[] {
  const end = a.findIndex((token, i) => token !== b[i]);
  return end < 0 ? [...a] : a.slice(0, end);
}
