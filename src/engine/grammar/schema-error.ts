import { KvantError } from '../../errors.ts';

/** @param at where in the schema, such as `#/properties/name` */
export function schemaError(at: string, problem: string): KvantError {
  return new KvantError('INVALID_OPTION', `option "responseFormat.schema" cannot be used: at ${at}, ${problem}`);
}
