import type { Readable, Writable } from 'node:stream';
import type { LoadOptions, Model } from '../engine/types.ts';
import type { Interrupts } from './interrupts.ts';

/** Everything that the commands know of the world, so that tests can put something else in its place. */
export interface CliContext {
  readonly load: (options: LoadOptions) => Promise<Model>;
  readonly stdin: InputStream;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly interrupts: Interrupts;
}

export type InputStream = Readable & {
  readonly isTTY?: boolean;
  /** Only of terminals. */
  setRawMode?(raw: boolean): unknown;
};

export type OutputStream = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/** Whether somebody sits there who can be asked: both ends are a terminal. */
export function isInteractive({ stdin, stdout }: Pick<CliContext, 'stdin' | 'stdout'>): boolean {
  return stdin.isTTY === true && stdout.isTTY === true;
}
