/**
 * What files named *-browser.ts use of a browser, or of a worker in one, that Node has not got. TypeScript's own DOM library would let
 * all sources use the rest, too.
 */

interface Worker {
  postMessage(message: unknown, transfer?: readonly ArrayBuffer[]): void;
  terminate(): void;
  addEventListener(type: 'message' | 'messageerror', listener: (event: { readonly data: unknown }) => void): void;
  /** The message is absent where the script cannot be loaded. */
  addEventListener(type: 'error', listener: (event: { readonly message?: string }) => void): void;
}

declare const Worker: new (url: URL, options: { readonly type: 'module'; readonly name?: string }) => Worker;

/** Of a worker. */
declare const self: Pick<Worker, 'postMessage' | 'addEventListener'>;

/** Whether memory can be shared with workers. */
declare const crossOriginIsolated: boolean;

declare const location: { readonly href: string };

/** Absent in workers. */
declare const document: { readonly baseURI: string } | undefined;
