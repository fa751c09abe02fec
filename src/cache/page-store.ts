import type { ChainPage } from './prefix-chain.ts';
import type { PrefixKey } from './prefix-key.ts';

/** A sealed page outside of the arena. */
export interface StoredPage extends ChainPage {
  /** The bytes as they were in the arena. */
  readonly sealed: Uint8Array;
  readonly sink: Uint8Array | undefined;
}

/** A second tier for pages that the arena has no room for. What it has it may forget at any time. */
export interface PageStore {
  readonly numPages: number;
  readonly numBytes: number;
  /** Whether the page can be had, without the cost of reading it. */
  has(page: ChainPage): boolean;
  /** Keeps a page, whose bytes must not change any more. One that does not fit, or cannot be written, is not kept. */
  put(page: StoredPage): void;
  /** A page, whose bytes must not be changed; undefined if it is not there or not whole. A collision of keys can only miss. */
  get(page: ChainPage): StoredPage | undefined;
  close(): void;
}

/** Keeps pages in memory of the process, outside of the arena; the least recently used go first. */
export class MemoryPageStore implements PageStore {
  readonly #maxBytes: number;
  /** A map remembers the order in which its keys were set. */
  readonly #pages = new Map<PrefixKey, StoredPage>();
  #numBytes = 0;

  /** @param maxBytes of payloads */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get numPages(): number {
    return this.#pages.size;
  }

  get numBytes(): number {
    return this.#numBytes;
  }

  has(page: ChainPage): boolean {
    const stored = this.#pages.get(page.key);
    return stored !== undefined && isSamePage(stored, page);
  }

  put(page: StoredPage): void {
    this.#delete(page.key);
    const numBytes = storedBytes(page);
    if (numBytes > this.#maxBytes) return;
    for (const key of this.#pages.keys()) {
      if (this.#numBytes + numBytes <= this.#maxBytes) break;
      this.#delete(key);
    }
    this.#pages.set(page.key, page);
    this.#numBytes += numBytes;
  }

  get(page: ChainPage): StoredPage | undefined {
    const stored = this.#pages.get(page.key);
    if (!stored || !isSamePage(stored, page)) return undefined;
    this.#pages.delete(page.key);
    this.#pages.set(page.key, stored);
    return stored;
  }

  close(): void {
    this.#pages.clear();
    this.#numBytes = 0;
  }

  #delete(key: PrefixKey): void {
    const stored = this.#pages.get(key);
    if (!stored) return;
    this.#pages.delete(key);
    this.#numBytes -= storedBytes(stored);
  }
}

/** Whether two pages are the same page of the same chain; equal keys alone do not prove it. */
export function isSamePage(a: ChainPage, b: ChainPage): boolean {
  return a.key === b.key && a.parent === b.parent && a.tenant === b.tenant && isEqual(a.tokens, b.tokens);
}

/** Payload of a page. */
export function storedBytes({ sealed, sink }: Pick<StoredPage, 'sealed' | 'sink'>): number {
  return sealed.length + (sink?.length ?? 0);
}

function isEqual(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
