import { schemaError } from './schema-error.ts';

/** A schema that is an object, and where it stands in the whole one, such as `#/properties/name`. */
export interface SchemaNode {
  readonly schema: Readonly<Record<string, unknown>>;
  readonly at: string;
}

export type JsonType = 'object' | 'array' | 'string' | 'number' | 'integer' | 'boolean' | 'null';

export const JSON_TYPES: readonly JsonType[] = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'];

/** What says more of values of a type; without `type`, it also says that they are of that type. */
export const KEYWORDS_OF_TYPE: Readonly<Record<JsonType, readonly string[]>> = {
  object: ['properties', 'required', 'additionalProperties', 'propertyNames'],
  array: ['items', 'prefixItems', 'minItems', 'maxItems'],
  string: ['minLength', 'maxLength', 'pattern', 'format'],
  number: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
  integer: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
  boolean: [],
  null: [],
};

/** What says nothing of values. */
const ANNOTATIONS: readonly string[] = [
  ...['$schema', '$id', '$comment', '$defs', 'definitions', 'title', 'description', 'default', 'examples'],
  ...['deprecated', 'readOnly', 'writeOnly'],
];

/** A schema with one of these is that alone. */
export const COMBINING = ['$ref', 'anyOf', 'oneOf', 'allOf'] as const;

const KNOWN = new Set([
  ...ANNOTATIONS,
  ...COMBINING,
  ...['type', 'enum', 'const'],
  ...Object.values(KEYWORDS_OF_TYPE).flat(),
]);

/** Keywords of a schema that say something of its values. @throws KvantError INVALID_OPTION for one that is not known */
export function keywordsOf({ schema, at }: SchemaNode): readonly string[] {
  const keywords = Object.keys(schema);
  const unknown = keywords.find((keyword) => !KNOWN.has(keyword));
  if (unknown !== undefined) {
    const known = [...KNOWN].filter((keyword) => !ANNOTATIONS.includes(keyword)).join(', ');
    throw schemaError(at, `the keyword "${unknown}" is not supported: leave it out, or say it with ${known}`);
  }
  return keywords.filter((keyword) => !ANNOTATIONS.includes(keyword));
}

/** A part of a schema that is a schema. @throws KvantError INVALID_OPTION for anything else than an object */
export function nodeAt(value: unknown, at: string): SchemaNode {
  if (value === true) return { schema: {}, at };
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return { schema: value as Readonly<Record<string, unknown>>, at };
  }
  throw schemaError(at, `there must be a schema, an object; got ${show(value)}`);
}

/** A part of a schema that is a list of schemas. @throws KvantError INVALID_OPTION */
export function nodesOf({ schema, at }: SchemaNode, keyword: string): readonly SchemaNode[] {
  const value = schema[keyword];
  if (!Array.isArray(value) || value.length === 0) {
    throw schemaError(at, `"${keyword}" must be a list of schemas; got ${show(value)}`);
  }
  return value.map((each, index) => nodeAt(each, `${at}/${keyword}/${index}`));
}

/** Types that a schema names, or that its keywords tell; all where there is nothing. @throws KvantError INVALID_OPTION for another type */
export function typesOf({ schema, at }: SchemaNode): readonly JsonType[] {
  if ('type' in schema) {
    const types: readonly unknown[] = Array.isArray(schema.type) ? schema.type : [schema.type];
    const wrong = types.find((type) => !JSON_TYPES.includes(type as JsonType));
    if (wrong === undefined && types.length > 0) return types as readonly JsonType[];
    throw schemaError(at, `"type" must be ${JSON_TYPES.join(', ')}, or a list of them; got ${show(schema.type)}`);
  }
  const told = JSON_TYPES.filter((type) => type !== 'integer' && KEYWORDS_OF_TYPE[type].some((each) => each in schema));
  return told.length > 0 ? told : JSON_TYPES.filter((type) => type !== 'integer');
}

/** The values that `enum` or `const` lists, as far as they are of the schema's types; undefined where there is neither. */
export function valuesOf(node: SchemaNode): readonly unknown[] | undefined {
  const { schema, at } = node;
  if (!('enum' in schema) && !('const' in schema)) return undefined;
  if ('enum' in schema && !Array.isArray(schema.enum))
    throw schemaError(at, `"enum" must be a list of values; got ${show(schema.enum)}`);
  const listed: readonly unknown[] = Array.isArray(schema.enum) ? schema.enum : [schema.const];
  const sameAsConst = (value: unknown): boolean =>
    !('const' in schema) || JSON.stringify(value) === JSON.stringify(schema.const);
  const types = 'type' in schema ? typesOf(node) : JSON_TYPES;
  return listed.filter((value) => sameAsConst(value) && types.some((type) => isOfType(value, type)));
}

export function isOfType(value: unknown, type: JsonType): boolean {
  switch (type) {
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value);
    case 'array':
      return Array.isArray(value);
    case 'null':
      return value === null;
    case 'integer':
      return Number.isInteger(value);
    case 'string':
    case 'number':
    case 'boolean':
      return typeof value === type;
  }
}

/** A name as a part of a JSON pointer (RFC 6901). */
export function pointerPart(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** Of `minItems`, `maxItems`, `minLength` and `maxLength`: each of them is a state of the grammar. */
const MAX_COUNT = 10_000;

/** How many of something there may be. @throws KvantError INVALID_OPTION for what is no count, or leaves none */
export function counts(
  node: SchemaNode,
  leastName: string,
  mostName: string,
): { readonly least: number; readonly most: number | undefined } {
  const { schema, at } = node;
  for (const name of [leastName, mostName]) {
    const value = schema[name];
    if (value === undefined || (Number.isInteger(value) && Number(value) >= 0 && Number(value) <= MAX_COUNT)) continue;
    throw schemaError(at, `"${name}" must be a whole number from 0 to ${MAX_COUNT}; got ${show(value)}`);
  }
  const least = Number(schema[leastName] ?? 0);
  const most = schema[mostName] === undefined ? undefined : Number(schema[mostName]);
  if (most !== undefined && least > most)
    throw schemaError(at, `"${leastName}" is above "${mostName}": no answer would do`);
  return { least, most };
}

const MAX_SHOWN_CHARS = 60;

/** A value of a schema, for messages. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > MAX_SHOWN_CHARS ? `${text.slice(0, MAX_SHOWN_CHARS)}…` : text;
}
