/** JSON schemas at random, of the keywords that grammars support, without any text that is endless. */

type Random = () => number;
type Schema = Readonly<Record<string, unknown>>;

const NAMES = ['name', 'a b', 'x/y', 'quote"d', 'größe', '✓', 'n', '__proto', 'tab\there'];
const VALUES = ['red', 'ä"\\', '', 0, -1.5, true, null, 1e21, ['x', 1], { k: 'v' }];
const PATTERNS = ['^[A-Z]{2}-\\d+$', '^(?:ja|nein)?$', '^[^"]{1,4}$', '^\\S[^\\d\\s]*$'];
const FORMATS = ['date', 'time', 'date-time', 'uuid', 'ipv4', 'hostname', 'email'];

/** @param depth how deep objects and arrays may be nested */
export function randomSchema(random: Random, depth = 3): Schema {
  const simple = [stringSchema, numberSchema, enumSchema, plainSchema];
  const nested = [objectSchema, objectSchema, arraySchema, tupleSchema, unionSchema, variantSchema];
  return pick(depth > 0 ? [...simple, ...nested, ...nested] : simple, random)(random, depth - 1);
}

function stringSchema(random: Random): Schema {
  if (random() < 0.4) return { type: 'string', format: pick(FORMATS, random) };
  if (random() < 0.3) {
    const pattern = pick(PATTERNS, random);
    return { type: 'string', pattern, ...(random() < 0.5 && { minLength: 1, maxLength: 4 + upTo(9, random) }) };
  }
  const minLength = upTo(3, random);
  return { type: 'string', minLength, maxLength: minLength + upTo(12, random) };
}

function numberSchema(random: Random): Schema {
  const type = pick(['number', 'integer'], random);
  const [a, b] = [bound(random), bound(random)];
  const [least, most] = [Math.min(a, b), Math.max(a, b) + 1];
  const low = pick([{ minimum: least }, { exclusiveMinimum: least }, {}], random);
  const high = pick([{ maximum: most + 1 }, { exclusiveMaximum: most + 1 }, {}], random);
  return { type, ...low, ...high };
}

function bound(random: Random): number {
  return pick([0, 1, -1, 0.5, 100, -273.15, 0.1 + 0.2, 99999, Math.round(random() * 2e6 - 1e6) / 100], random);
}

function enumSchema(random: Random): Schema {
  const values = VALUES.filter(() => random() < 0.4);
  return values.length === 0 ? { const: pick(VALUES, random) } : { enum: values };
}

function plainSchema(random: Random): Schema {
  return pick([{ type: 'boolean' }, { type: 'null' }, { type: ['boolean', 'null'] }, { type: 'integer' }], random);
}

function objectSchema(random: Random, depth: number): Schema {
  const names = NAMES.filter(() => random() < 0.35);
  const properties = Object.fromEntries(names.map((name) => [name, randomSchema(random, depth)]));
  const required = names.filter(() => random() < 0.5);
  return { type: 'object', title: 'An object', properties, required, additionalProperties: false };
}

function arraySchema(random: Random, depth: number): Schema {
  const minItems = upTo(2, random);
  return { type: 'array', items: randomSchema(random, depth), minItems, maxItems: minItems + upTo(3, random) };
}

function tupleSchema(random: Random, depth: number): Schema {
  const prefixItems = [randomSchema(random, depth), randomSchema(random, depth)];
  return { type: 'array', prefixItems, items: false, minItems: 2 };
}

function unionSchema(random: Random, depth: number): Schema {
  return { anyOf: [randomSchema(random, depth), randomSchema(random, depth)] };
}

function variantSchema(random: Random, depth: number): Schema {
  const variant = (kind: string): Schema => {
    const properties = { kind: { const: kind }, value: randomSchema(random, depth) };
    return { type: 'object', properties, required: ['kind', 'value'], additionalProperties: false };
  };
  return { oneOf: [variant('one'), variant('two'), { type: 'string', maxLength: 3 }] };
}

function pick<T>(items: readonly T[], random: Random): T {
  return items[Math.floor(random() * items.length)];
}

function upTo(most: number, random: Random): number {
  return Math.floor(random() * (most + 1));
}
