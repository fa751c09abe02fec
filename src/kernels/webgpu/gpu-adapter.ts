import { KvantError } from '../../errors.ts';

/** Which adapters are taken: computed in software only where that is asked for. */
export type AdapterChoice = 'hardware' | 'any';

/**
 * The adapter to compute on.
 *
 * @param hint what to do where there is none
 * @throws KvantError BACKEND_UNAVAILABLE without one of the choice
 */
export async function requestAdapter(api: GPU, choice: AdapterChoice, hint: string): Promise<GPUAdapter> {
  const adapter = await api.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) throw gpuUnavailable(`no GPU was found: ${hint}`);
  const { info } = adapter;
  if (choice === 'hardware' && isSoftware(info)) {
    const name = info.description || info.device || info.architecture;
    const remedy = `${hint}, or take it as it is with --backend webgpu-software`;
    throw gpuUnavailable(`the only adapter, ${name}, computes in software: ${remedy}`);
  }
  return adapter;
}

export function gpuUnavailable(message: string, cause?: unknown): KvantError {
  return new KvantError('BACKEND_UNAVAILABLE', `${message}; or use --backend wasm`, { cause });
}

/** SwiftShader and llvmpipe compute on the CPU. */
export function isSoftware(info: GPUAdapterInfo): boolean {
  const name = `${info.vendor} ${info.architecture} ${info.device} ${info.description}`.toLowerCase();
  return info.isFallbackAdapter || /swiftshader|llvmpipe|lavapipe/.test(name);
}
