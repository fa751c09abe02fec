import { KvantError } from '../errors.ts';
import { withFlagNames } from './cli-options.ts';

/** How the program ends, as shells understand it; a signal's code is 128 and its number. */
export const EXIT = { ok: 0, failure: 1, usage: 2, SIGINT: 130, SIGTERM: 143 } as const;

/** The exit code for an error: 2 where the command line is wrong, 1 for everything that fails later. */
export function exitCodeOf(error: unknown): number {
  return error instanceof KvantError && error.code === 'INVALID_OPTION' ? EXIT.usage : EXIT.failure;
}

/** The error as the user reads it: one line, or with `debug` the stack and the causes, too. */
export function errorReport(error: unknown, debug: boolean): string {
  if (debug && error instanceof Error) return `${error.stack ?? error.message}${causeOf(error)}`;
  const message = withFlagNames(error instanceof Error ? error.message : String(error));
  return `kvant: ${message.trim().replace(/\s*\n\s*/g, ' ')}`;
}

function causeOf(error: Error): string {
  if (!(error.cause instanceof Error)) return '';
  return `\ncaused by: ${error.cause.stack ?? error.cause.message}${causeOf(error.cause)}`;
}
