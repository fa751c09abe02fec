import { dequantize, KvantError, load, quantize } from '../../src/browser.ts';

/** What the page of test/browser.test.ts offers to it: the library as a page gets it. */
Object.assign(globalThis, { kvant: { dequantize, KvantError, load, quantize } });
