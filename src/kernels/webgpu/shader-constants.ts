/** Values of WGSL constants: whole numbers become `u32`, others come from `f32`. */
export type ShaderConstants = Readonly<Record<string, number | boolean | ShaderFloat>>;

/** The literal of a float32. */
export interface ShaderFloat {
  readonly literal: string;
}

export function f32(value: number): ShaderFloat {
  return { literal: `${Math.fround(value).toExponential()}f` };
}

/** The declarations that a shader's source comes after. @throws RangeError for a number that is no u32 */
export function declareConstants(constants: ShaderConstants): string {
  return Object.entries(constants)
    .map(([name, value]) => `const ${name} = ${literalOf(name, value)};`)
    .join('\n');
}

function literalOf(name: string, value: number | boolean | ShaderFloat): string {
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'object') return value.literal;
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** 32) throw new RangeError(`${name} = ${value} is no u32`);
  return `${value}u`;
}
