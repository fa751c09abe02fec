import { fileURLToPath } from 'node:url';
import { KvantError } from '../errors.ts';

const PACKAGE = '@kvant/smollm2-135m-instruct';
const FILE = 'SmolLM2-135M-Instruct.Q4_1.gguf';

/**
 * Where npm has put the model that Kvant ships with.
 *
 * @param resolve finds a package's file as `import.meta.resolve` does
 * @throws KvantError MODEL_NOT_FOUND if it is not installed
 */
export function embeddedModelPath(
  resolve: (specifier: string) => string = (name) => import.meta.resolve(name),
): string {
  try {
    return fileURLToPath(resolve(`${PACKAGE}/${FILE}`));
  } catch (cause) {
    const message =
      `the embedded model is not installed: install the package ${PACKAGE}, ` +
      'or give the path of a GGUF file (option "model")';
    throw new KvantError('MODEL_NOT_FOUND', message, { cause });
  }
}
