import { isOfType, nodesOf, pointerPart, typesOf, valuesOf, type JsonType, type SchemaNode } from './json-schema.ts';
import type { SchemaReferences } from './schema-references.ts';

/** Deeper properties are not looked at: schemas may refer to themselves. */
const MAX_DEPTH = 4;

/**
 * Whether no value can be of both schemas, as far as that is easy to see: by their types, by the values that they list, or by a property that both
 * require. False where it is not known.
 */
export function areDisjoint(a: SchemaNode, b: SchemaNode, references: SchemaReferences, depth = MAX_DEPTH): boolean {
  if (depth === 0) return false;
  const [first, second] = [references.resolve(a), references.resolve(b)];
  const [firstParts, secondParts] = [alternativesOf(first), alternativesOf(second)];
  if (firstParts || secondParts) {
    const others = secondParts ?? [second];
    return (firstParts ?? [first]).every((part) =>
      others.every((other) => areDisjoint(part, other, references, depth - 1)),
    );
  }
  const [firstValues, secondValues] = [valuesOf(first), valuesOf(second)];
  if (firstValues && secondValues) {
    const texts = new Set(firstValues.map((value) => JSON.stringify(value)));
    return secondValues.every((value) => !texts.has(JSON.stringify(value)));
  }
  if (firstValues || secondValues) {
    const types = typesOf(firstValues ? second : first);
    return (firstValues ?? secondValues ?? []).every((value) => !types.some((type) => isOfType(value, type)));
  }
  const [firstTypes, secondTypes] = [typesOf(first), typesOf(second)];
  if (!firstTypes.some((type) => secondTypes.some((other) => overlap(type, other)))) return true;
  return haveTellingProperty(first, second, references, depth);
}

/** Two kinds of objects: a property that each of them must have, with values that the other one's cannot have. */
function haveTellingProperty(a: SchemaNode, b: SchemaNode, references: SchemaReferences, depth: number): boolean {
  const isObject = (node: SchemaNode): boolean => typesOf(node).every((type) => type === 'object');
  if (!isObject(a) || !isObject(b)) return false;
  return requiredOf(a).some((name) => {
    const [first, second] = [propertyOf(a, name), propertyOf(b, name)];
    return requiredOf(b).includes(name) && first && second && areDisjoint(first, second, references, depth - 1);
  });
}

function alternativesOf(node: SchemaNode): readonly SchemaNode[] | undefined {
  const keyword = (['anyOf', 'oneOf', 'allOf'] as const).find((each) => each in node.schema);
  return keyword && nodesOf(node, keyword);
}

function requiredOf({ schema }: SchemaNode): readonly unknown[] {
  return Array.isArray(schema.required) ? schema.required : [];
}

function propertyOf({ schema, at }: SchemaNode, name: unknown): SchemaNode | undefined {
  const properties = schema.properties as Readonly<Record<string, unknown>> | undefined;
  const property =
    typeof name === 'string' && properties && Object.hasOwn(properties, name) ? properties[name] : undefined;
  if (typeof property !== 'object' || property === null) return undefined;
  return { schema: property as Readonly<Record<string, unknown>>, at: `${at}/properties/${pointerPart(String(name))}` };
}

function overlap(a: JsonType, b: JsonType): boolean {
  const widen = (type: JsonType): JsonType => (type === 'integer' ? 'number' : type);
  return widen(a) === widen(b);
}
