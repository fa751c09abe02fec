import type { StoredPage } from '../page-store.ts';
import { pageKey, rootKey } from '../prefix-key.ts';

/** A page of one chain each, told apart by a number. */
export function storedPage(number: number, sealedBytes = 10, sinkBytes = 0): StoredPage {
  const root = rootKey({ format: 'q4' });
  const tokens = [number, 2, 3];
  const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => 31 * number + i);
  return {
    ...{ key: pageKey(root, 'tenant a', tokens), parent: root, root, tokens, tenant: 'a' },
    sealed: bytes(sealedBytes),
    sink: sinkBytes === 0 ? undefined : bytes(sinkBytes),
  };
}

/** Stores of both kinds keep to this. */
export const MISSES: readonly ((page: StoredPage) => StoredPage)[] = [
  (page) => ({ ...page, tokens: [9, 9, 9] }),
  (page) => ({ ...page, tenant: 'b' }),
  (page) => ({ ...page, parent: rootKey({}) }),
  (page) => ({ ...page, key: rootKey({}) }),
];
