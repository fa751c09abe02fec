import { repeat, rule, type Expression } from './expression.ts';
import { intersection } from './intersection.ts';
import { CHARACTER, quoted } from './json-rules.ts';
import { counts, show, type SchemaNode } from './json-schema.ts';
import { PatternError, patternRule } from './pattern-rules.ts';
import { schemaError } from './schema-error.ts';
import { STRING_FORMATS } from './string-formats.ts';

/**
 * Strings of a length, a pattern and a format, as far as they are given.
 *
 * @param rules where rules are added that the expression names
 * @throws KvantError INVALID_OPTION for those that are not known, and if no string is of all of them
 */
export function stringRule(node: SchemaNode, rules: Map<string, Expression>): Expression {
  const { least, most } = counts(node, 'minLength', 'maxLength');
  const { pattern, format } = node.schema;
  const contents: Expression[] = [];
  if (pattern !== undefined) contents.push(patternOf(pattern, node.at));
  // Beside a pattern, one that is not known is an annotation, as JSON Schema has it.
  if (format !== undefined && (pattern === undefined || isKnownFormat(format)))
    contents.push(formatOf(format, node.at));
  if (least > 0 || most !== undefined || contents.length === 0) contents.push(repeat(CHARACTER, least, most));
  return quoted(contents.reduce((all, content, index) => inBoth(all, content, { node, index, rules })));
}

interface Combination {
  readonly node: SchemaNode;
  readonly index: number;
  readonly rules: Map<string, Expression>;
}

function inBoth(a: Expression, b: Expression, { node: { at }, index, rules }: Combination): Expression {
  const common = intersection(a, b, rules, `strings ${index} of ${at}`);
  if (!common)
    throw schemaError(
      at,
      'pattern, format and length together are too much: leave one of them out, or make the length smaller',
    );
  if (common.size === 0)
    throw schemaError(at, 'no string is of the pattern, the format and the length: no answer would do');
  for (const [name, expression] of common) rules.set(name, expression);
  return rule([...common.keys()][0]);
}

function isKnownFormat(format: unknown): format is string {
  return typeof format === 'string' && Object.hasOwn(STRING_FORMATS, format);
}

function formatOf(format: unknown, at: string): Expression {
  if (isKnownFormat(format)) return STRING_FORMATS[format];
  const known = Object.keys(STRING_FORMATS).join(', ');
  throw schemaError(
    at,
    `"format" ${show(format)} is not supported: leave it out, take one of ${known}, or a "pattern"`,
  );
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
