import { readFile } from 'node:fs/promises';
import { KvantError } from '../../errors.ts';
import { SHADER_NAMES, type ShaderName, type ShaderSources } from './shaders.ts';

/** Reads the shaders, which lie beside this file. @throws KvantError BACKEND_UNAVAILABLE if one is missing */
export async function readShaders(): Promise<ShaderSources> {
  const read = async (name: ShaderName): Promise<readonly [ShaderName, string]> => {
    const url = new URL(`shaders/${name}.wgsl`, import.meta.url);
    try {
      return [name, await readFile(url, 'utf8')];
    } catch (cause) {
      const message = `the shader ${name}.wgsl is missing: install the package again`;
      throw new KvantError('BACKEND_UNAVAILABLE', message, { cause });
    }
  };
  return Object.fromEntries(await Promise.all(SHADER_NAMES.map(read))) as ShaderSources;
}
