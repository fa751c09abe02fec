import type { Expression } from './expression.ts';
import { quoted, stringOf } from './json-rules.ts';
import { counts, show, type SchemaNode } from './json-schema.ts';
import { PatternError, patternRule } from './pattern-rules.ts';
import { schemaError } from './schema-error.ts';
import { STRING_FORMATS } from './string-formats.ts';

/** Strings of a length, a pattern or a format. @throws KvantError INVALID_OPTION for combinations of them, and for what is not known */
export function stringRule(node: SchemaNode): Expression {
  const { schema, at } = node;
  const { least, most } = counts(node, 'minLength', 'maxLength');
  const hasLength = least > 0 || most !== undefined;
  if ('pattern' in schema) {
    if (hasLength) throw schemaError(at, '"pattern" cannot be combined with a length: say the length in the pattern');
    // What the format says beside it is an annotation.
    return quoted(patternOf(schema.pattern, at));
  }
  if (!('format' in schema)) return stringOf(least, most);
  if (hasLength) throw schemaError(at, '"format" cannot be combined with a length: leave one of them out');
  const { format } = schema;
  const known = Object.keys(STRING_FORMATS);
  if (typeof format === 'string' && known.includes(format)) return quoted(STRING_FORMATS[format]);
  const problem = `"format" ${show(format)} is not supported: leave it out, take one of ${known.join(', ')}, or a "pattern"`;
  throw schemaError(at, problem);
}

function patternOf(pattern: unknown, at: string): Expression {
  if (typeof pattern !== 'string')
    throw schemaError(at, `"pattern" must be a regular expression; got ${show(pattern)}`);
  try {
    return patternRule(pattern);
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    throw schemaError(at, `"pattern" ${show(pattern)} ${error.message}`);
  }
}
