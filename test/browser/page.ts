import { load, quantize } from '../../src/browser.ts';

/** The library as a page gets it: what test/browser.test.ts finds there. */
export interface LibraryPage {
  readonly kvant: { readonly load: typeof load; readonly quantize: typeof quantize };
}

Object.assign(globalThis, { kvant: { load, quantize } } satisfies LibraryPage);
