import { readFile } from 'node:fs/promises';

/** The version of Kvant, as its package says. */
export async function kvantVersion(): Promise<string> {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}
