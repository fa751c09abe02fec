import { resolveKvFormat, type Calibration } from '../calibration/calibration.ts';
import type { KvShape } from '../cache/page-layout.ts';
import type { KvFormat } from '../quant/kv-format.ts';
import { cacheIdentity, type EngineIdentity } from './cache-identity.ts';
import type { KvMemory } from './kv-memory.ts';

export interface KvFormatsParts {
  readonly defaultFormat: KvFormat;
  /** Runs a task when no step is under way. */
  readonly betweenSteps: (task: (memory: KvMemory) => void) => Promise<void>;
  readonly identity: EngineIdentity;
  readonly shape: KvShape;
  /** Reads what a format is stored with, if it gains by it. */
  readonly calibrationFor: (name: string) => Promise<Calibration | undefined>;
}

/** Formats that requests ask for by name, beside the one that the engine was loaded with. */
export class KvFormats {
  readonly #parts: KvFormatsParts;
  readonly #formats = new Map<string, Promise<KvFormat>>();

  constructor(parts: KvFormatsParts) {
    this.#parts = parts;
    const { defaultFormat } = parts;
    this.#formats.set(defaultFormat.name, Promise.resolve(defaultFormat));
  }

  /**
   * The format of a name, ready for requests.
   *
   * @throws KvantError INVALID_OPTION for an unknown name or one that needs a calibration which is not there, OUT_OF_MEMORY, and what
   *   reading a calibration throws
   */
  get(name: string): Promise<KvFormat> {
    const known = this.#formats.get(name);
    if (known) return known;
    const adding = this.#add(name);
    this.#formats.set(name, adding);
    adding.catch(() => this.#formats.delete(name));
    return adding;
  }

  async #add(name: string): Promise<KvFormat> {
    const { betweenSteps, identity, shape, calibrationFor } = this.#parts;
    const format = resolveKvFormat(name, shape, await calibrationFor(name));
    const root = await cacheIdentity(identity, format);
    await betweenSteps((memory) => void memory.addFormat(format, root));
    return format;
  }
}
