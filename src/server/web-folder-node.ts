import { access } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

/** Where the built page may lie: beside the compiled server in the package, or in the build folder of the sources. */
const PLACES = [new URL('../web/', import.meta.url), new URL('../../build/web/', import.meta.url)];

/** The folder of the built page; undefined where it has not been built. */
export async function findWebFolder(): Promise<string | undefined> {
  for (const place of PLACES) {
    const isThere = await access(new URL('index.html', place)).then(
      () => true,
      () => false,
    );
    if (isThere) return fileURLToPath(place);
  }
  return undefined;
}
