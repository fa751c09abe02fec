import { KvantError } from '../../errors.ts';
import { SHADER_NAMES, type ShaderName, type ShaderSources } from './shaders.ts';

/** Written out one by one, so that bundlers see which files belong to the program. */
const URLS: Readonly<Record<ShaderName, URL>> = {
  attend: new URL('./shaders/attend.wgsl', import.meta.url),
  'attend-open': new URL('./shaders/attend-open.wgsl', import.meta.url),
  'dot-speed': new URL('./shaders/dot-speed.wgsl', import.meta.url),
  embed: new URL('./shaders/embed.wgsl', import.meta.url),
  exact: new URL('./shaders/exact.wgsl', import.meta.url),
  gate: new URL('./shaders/gate.wgsl', import.meta.url),
  'input-normed': new URL('./shaders/input-normed.wgsl', import.meta.url),
  'input-operand': new URL('./shaders/input-operand.wgsl', import.meta.url),
  'lanes-memory': new URL('./shaders/lanes-memory.wgsl', import.meta.url),
  'lanes-single': new URL('./shaders/lanes-single.wgsl', import.meta.url),
  'lanes-subgroup': new URL('./shaders/lanes-subgroup.wgsl', import.meta.url),
  largest: new URL('./shaders/largest.wgsl', import.meta.url),
  'matmul-batch': new URL('./shaders/matmul-batch.wgsl', import.meta.url),
  'matmul-decode': new URL('./shaders/matmul-decode.wgsl', import.meta.url),
  'matmul-float': new URL('./shaders/matmul-float.wgsl', import.meta.url),
  'matmul-gated': new URL('./shaders/matmul-gated.wgsl', import.meta.url),
  'matmul-prefill': new URL('./shaders/matmul-prefill.wgsl', import.meta.url),
  'merge-parts': new URL('./shaders/merge-parts.wgsl', import.meta.url),
  norm: new URL('./shaders/norm.wgsl', import.meta.url),
  'norm-heads': new URL('./shaders/norm-heads.wgsl', import.meta.url),
  operand: new URL('./shaders/operand.wgsl', import.meta.url),
  'operand-slots': new URL('./shaders/operand-slots.wgsl', import.meta.url),
  'output-one': new URL('./shaders/output-one.wgsl', import.meta.url),
  'output-three': new URL('./shaders/output-three.wgsl', import.meta.url),
  planes: new URL('./shaders/planes.wgsl', import.meta.url),
  products: new URL('./shaders/products.wgsl', import.meta.url),
  quantize: new URL('./shaders/quantize.wgsl', import.meta.url),
  'read-speed': new URL('./shaders/read-speed.wgsl', import.meta.url),
  'rms-norm': new URL('./shaders/rms-norm.wgsl', import.meta.url),
  'row-sums': new URL('./shaders/row-sums.wgsl', import.meta.url),
  seal: new URL('./shaders/seal.wgsl', import.meta.url),
  'select-rows': new URL('./shaders/select-rows.wgsl', import.meta.url),
  slots: new URL('./shaders/slots.wgsl', import.meta.url),
  step: new URL('./shaders/step.wgsl', import.meta.url),
  'store-keys-values': new URL('./shaders/store-keys-values.wgsl', import.meta.url),
  swiglu: new URL('./shaders/swiglu.wgsl', import.meta.url),
  weights: new URL('./shaders/weights.wgsl', import.meta.url),
};

/** Reads the shaders, which lie beside this file or where a bundler has put them. @throws KvantError BACKEND_UNAVAILABLE if one is missing */
export async function readShaders(): Promise<ShaderSources> {
  const texts = await Promise.all(SHADER_NAMES.map(async (name) => [name, await readShader(name)] as const));
  return Object.fromEntries(texts) as ShaderSources;
}

async function readShader(name: ShaderName): Promise<string> {
  const { href } = URLS[name];
  try {
    const response = await fetch(href);
    if (!response.ok) throw new Error(`status ${response.status}`);
    return await response.text();
  } catch (cause) {
    const message = `the shader ${href} cannot be read (${String(cause)}): serve it with the rest of the program`;
    throw new KvantError('BACKEND_UNAVAILABLE', message, { cause });
  }
}
