/** The files of shaders/, by job. */
export const SHADER_NAMES = [
  'attend',
  'attend-open',
  'dot-speed',
  'embed',
  'exact',
  'gate',
  'input-normed',
  'input-operand',
  'lanes-memory',
  'lanes-single',
  'lanes-subgroup',
  'largest',
  'matmul-batch',
  'matmul-decode',
  'matmul-float',
  'matmul-gated',
  'matmul-prefill',
  'merge-parts',
  'norm',
  'norm-heads',
  'operand',
  'output-one',
  'output-three',
  'planes',
  'products',
  'quantize',
  'read-speed',
  'rms-norm',
  'row-sums',
  'seal',
  'select-rows',
  'slots',
  'step',
  'store-keys-values',
  'swiglu',
  'weights',
] as const;

export type ShaderName = (typeof SHADER_NAMES)[number];

/** The text of each. */
export type ShaderSources = Readonly<Record<ShaderName, string>>;
