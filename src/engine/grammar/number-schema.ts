import type { Expression } from './expression.ts';
import { integersBetween, isPlainDecimal, MAX_INTEGER, NUMBER, numbersBetween } from './number-rules.ts';
import { schemaError } from './schema-error.ts';
import { show, type SchemaNode } from './json-schema.ts';

/** Numbers between the bounds of a schema. @throws KvantError INVALID_OPTION for bounds that are none, or that leave nothing */
export function numberRule(type: 'number' | 'integer', node: SchemaNode): Expression {
  const minimum = boundOf(node, 'minimum', -Infinity);
  const maximum = boundOf(node, 'maximum', Infinity);
  const above = boundOf(node, 'exclusiveMinimum', -Infinity);
  const below = boundOf(node, 'exclusiveMaximum', Infinity);
  const isUnbounded = [minimum, maximum, above, below].every((bound) => !Number.isFinite(bound));
  if (type === 'number' && isUnbounded) return NUMBER;
  const written =
    type === 'integer'
      ? integersBetween(
          Math.max(Math.ceil(minimum), Math.floor(above) + 1, -MAX_INTEGER),
          Math.min(Math.floor(maximum), Math.ceil(below) - 1, MAX_INTEGER),
        )
      : numbersBetween({
          min: Math.max(minimum, above, -MAX_INTEGER),
          max: Math.min(maximum, below, MAX_INTEGER),
          isMinOpen: above >= minimum && Number.isFinite(above),
          isMaxOpen: below <= maximum && Number.isFinite(below),
        });
  if (!written) throw schemaError(node.at, `no ${type} lies between the bounds: no answer would do`);
  return written;
}

/** @param none what stands for no bound; one that is farther out than numbers go is none */
function boundOf({ schema, at }: SchemaNode, keyword: string, none: number): number {
  const value = schema[keyword];
  if (value === undefined) return none;
  if (typeof value === 'number' && isPlainDecimal(value)) return value;
  if (typeof value === 'number' && Math.abs(value) > MAX_INTEGER && Math.sign(value) === Math.sign(none)) return none;
  const problem = `"${keyword}" must be a number from ${-MAX_INTEGER} to ${MAX_INTEGER}, and not nearer to 0 than 0.000001; got ${show(value)}`;
  throw schemaError(at, problem);
}
