import { randomUUID } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { realpath, rename, rm, stat } from 'node:fs/promises';
import { errorCode, fileErrorReason, KvantError } from '../errors.ts';

/**
 * A file of log-probabilities: float32, little-endian, [positions, vocabulary], nothing else. Rows are written to a file beside it
 * that takes its name only when it is complete, so that a file of that name always is.
 */
export class LogitsFile {
  readonly #path: string;
  /** Where rows go; undefined for pipes and devices, which are written directly. */
  #temporaryPath: string | undefined;
  #descriptor: number | undefined;
  #numRows = 0;

  private constructor(path: string, temporaryPath: string | undefined, descriptor: number) {
    this.#path = path;
    this.#temporaryPath = temporaryPath;
    this.#descriptor = descriptor;
  }

  /** Rows written so far. */
  get numRows(): number {
    return this.#numRows;
  }

  /** @throws KvantError FILE_ERROR if the file cannot be written */
  static async create(path: string): Promise<LogitsFile> {
    try {
      const target = await resolveTarget(path);
      const temporaryPath = target.isSpecial ? undefined : `${target.path}.${randomUUID()}.tmp`;
      const descriptor = openSync(temporaryPath ?? target.path, 'w');
      return new LogitsFile(target.path, temporaryPath, descriptor);
    } catch (error) {
      throw writeError(path, error);
    }
  }

  /**
   * Appends a row. Waits until the operating system has taken it: rows come as fast as the engine computes them, and a queue of them
   * would fill the memory when the disk is slower.
   *
   * @throws KvantError FILE_ERROR, for instance when the disk is full
   */
  writeRow(logProbs: Float32Array): void {
    const descriptor = this.#descriptor;
    if (descriptor === undefined) throw new Error(`logits file "${this.#path}" is closed`);
    const bytes = new Uint8Array(logProbs.buffer, logProbs.byteOffset, logProbs.byteLength);
    try {
      for (let offset = 0; offset < bytes.length;) offset += writeSync(descriptor, bytes, offset);
    } catch (error) {
      throw writeError(this.#path, error);
    }
    this.#numRows++;
  }

  /** Gives the complete file its name. @throws KvantError FILE_ERROR */
  async commit(): Promise<void> {
    try {
      this.#close();
      if (this.#temporaryPath !== undefined) await rename(this.#temporaryPath, this.#path);
      this.#temporaryPath = undefined;
    } catch (error) {
      throw writeError(this.#path, error);
    }
  }

  /** Removes what was written. Does nothing after `commit`. */
  async discard(): Promise<void> {
    this.#close();
    if (this.#temporaryPath !== undefined) await rm(this.#temporaryPath, { force: true });
  }

  #close(): void {
    if (this.#descriptor === undefined) return;
    const descriptor = this.#descriptor;
    this.#descriptor = undefined;
    closeSync(descriptor);
  }
}

/** Follows links, so that the file behind a link is replaced and not the link; tells pipes and devices, which cannot be replaced. */
async function resolveTarget(path: string): Promise<{ readonly path: string; readonly isSpecial: boolean }> {
  try {
    const stats = await stat(path);
    if (stats.isDirectory()) throw Object.assign(new Error('it is a directory'), { code: 'EISDIR' });
    return { path: await realpath(path), isSpecial: !stats.isFile() };
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return { path, isSpecial: false };
    throw error;
  }
}

function writeError(path: string, error: unknown): KvantError {
  return new KvantError('FILE_ERROR', `cannot write "${path}": ${fileErrorReason(error)}`, { cause: error });
}
