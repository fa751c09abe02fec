/** The files of shaders/, by job. */
export const SHADER_NAMES = [
  'attend',
  'dot-speed',
  'embed',
  'lanes-single',
  'lanes-subgroup',
  'matmul-decode',
  'matmul-float',
  'matmul-prefill',
  'merge-parts',
  'norm-heads',
  'operand',
  'planes',
  'products',
  'read-speed',
  'rms-norm',
  'seal',
  'select-rows',
  'step',
  'store-keys-values',
  'swiglu',
  'weights',
] as const;

export type ShaderName = (typeof SHADER_NAMES)[number];

/** The text of each. */
export type ShaderSources = Readonly<Record<ShaderName, string>>;
