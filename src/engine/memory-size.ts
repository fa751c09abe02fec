/** Units of memory: decimal ones as of disks, binary ones with an i. */
const UNIT_BYTES: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

export const MEMORY_SIZE_RULE = 'must be bytes, or a size such as 2GB, 1.5GiB or 800MB';

/** Bytes of a size such as `2GB`, `1.5 GiB` or `800MB`, whole; undefined if the text is none, or has no unit. */
export function parseMemorySize(text: string): number | undefined {
  const [, number, unit] = /^\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*$/i.exec(text) ?? [];
  if (number === undefined) return undefined;
  const key = unit.toLowerCase();
  const bytes = Object.hasOwn(UNIT_BYTES, key) ? Math.floor(Number(number) * UNIT_BYTES[key]) : 0;
  return bytes >= 1 && Number.isSafeInteger(bytes) ? bytes : undefined;
}
