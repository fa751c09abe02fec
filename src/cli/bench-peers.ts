import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { PeerSetting } from '../bench/peer-protocol.ts';
import { errorCode, KvantError } from '../errors.ts';
import type { BackendDescription } from '../index.ts';
import type { PeerName } from './bench-flags.ts';

/** Another engine, ready to be started. */
export interface Peer {
  readonly name: string;
  readonly version: string;
  /** Script that speaks the protocol of src/bench/peer-protocol.ts. */
  readonly driverPath: string;
}

/** Where it computes: as ours does, on a GPU or on the CPU. `webgpu-software` is an adapter on the CPU. */
export function peerDevice(backend: string | undefined, { name }: BackendDescription): Pick<PeerSetting, 'gpu'> {
  return name === 'webgpu' && backend !== 'webgpu-software' ? { gpu: true } : {};
}

/** Not part of the published package; from src/cli/ and from dist/cli/ it is the same way. */
const FOLDER = fileURLToPath(new URL('../../bench/peers/', import.meta.url));

/**
 * Finds a peer in the repository's bench/peers/.
 *
 * @throws KvantError BACKEND_UNAVAILABLE with the command that installs it
 */
export async function findPeer(name: PeerName, folder: string = FOLDER): Promise<Peer> {
  try {
    const manifest = await readFile(`${folder}node_modules/${name}/package.json`, 'utf8');
    const { version } = JSON.parse(manifest) as { readonly version: string };
    return { name, version, driverPath: `${folder}${name}.ts` };
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
    const message = `${name} is not installed: run "npm run bench:peers" in a checkout of Kvant's repository`;
    throw new KvantError('BACKEND_UNAVAILABLE', message, { cause: error });
  }
}
