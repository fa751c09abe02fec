/** Texts that errors of this folder share. Names come from files that may be hostile, so they are quoted and cut. */

const MAX_QUOTED_LENGTH = 80;

/** A name in double quotes, control characters escaped, cut where it is very long. */
export function quote(text: string): string {
  return JSON.stringify(text.length > MAX_QUOTED_LENGTH ? `${text.slice(0, MAX_QUOTED_LENGTH)}...` : text);
}

/** `98,362,432 bytes`. */
export function formatBytes(numBytes: number | bigint): string {
  return `${numBytes.toLocaleString('en-US')} bytes`;
}

/** `[576, 49152]`: as in the file, the contiguous dimension first. */
export function formatShape(shape: readonly (number | bigint)[]): string {
  return `[${shape.join(', ')}]`;
}
