import { choice, literal, optional, rule, sequence, type Expression, type RuleSet } from './expression.ts';
import {
  another,
  ANY_OBJECT,
  ANY_VALUE,
  braces,
  brackets,
  first,
  JSON_RULES,
  listOf,
  mapOf,
  member,
} from './json-rules.ts';
import { areDisjoint } from './disjoint-schemas.ts';
import { checkRules } from './check-rules.ts';
import { numberRule } from './number-schema.ts';
import { schemaError } from './schema-error.ts';
import {
  COMBINING,
  counts,
  keywordsOf,
  nodeAt,
  nodesOf,
  pointerPart,
  show,
  typesOf,
  valuesOf,
  type JsonType,
  type SchemaNode,
} from './json-schema.ts';
import { SchemaReferences } from './schema-references.ts';
import { stringRule } from './string-schema.ts';

/** Deeper ones are hardly meant. */
const MAX_DEPTH = 32;

/**
 * The grammar of the JSON texts that a schema (JSON Schema 2020-12) allows. All of its texts are valid, but not all valid texts are of it: properties come in
 * their order, and objects with named properties have no others.
 *
 * @param schema plain JSON
 * @throws KvantError INVALID_OPTION for a keyword that is not supported, a schema without any value, and one that is none
 */
export function schemaRules(schema: unknown): RuleSet {
  return new SchemaWriter(nodeAt(schema, '#')).write();
}

class SchemaWriter {
  readonly #root: SchemaNode;
  readonly #references: SchemaReferences;
  readonly #rules = new Map(JSON_RULES);

  constructor(root: SchemaNode) {
    this.#root = root;
    this.#references = new SchemaReferences(root);
  }

  write(): RuleSet {
    const rules = this.#rules;
    const root = this.#define(this.#root, 0);
    checkRules(rules);
    return { rules, root };
  }

  /** Makes a rule of a schema, once. @returns its name */
  #define(node: SchemaNode, depth: number): string {
    const name = node.at;
    if (this.#rules.has(name)) return name;
    if (depth > MAX_DEPTH) throw schemaError(node.at, `the schema is nested deeper than ${MAX_DEPTH}: make it flatter`);
    // Until it is known, for schemas that refer to themselves.
    this.#rules.set(name, ANY_VALUE);
    this.#rules.set(name, this.#expressionOf(node, depth + 1));
    return name;
  }

  #rule(node: SchemaNode, depth: number): Expression {
    return rule(this.#define(node, depth));
  }

  #expressionOf(node: SchemaNode, depth: number): Expression {
    const { schema, at } = node;
    const keywords = keywordsOf(node);
    const combining = COMBINING.find((keyword) => keyword in schema);
    if (combining !== undefined) {
      const other = keywords.find((keyword) => keyword !== combining);
      if (other === undefined) return this.#combine(combining, node, depth);
      throw schemaError(
        at,
        `"${combining}" and "${other}" cannot be combined: put "${other}" into the schemas of "${combining}"`,
      );
    }
    const values = valuesOf(node);
    if (!values) return this.#anyOfTypes(node, depth);
    const other = keywords.find((keyword) => !['type', 'enum', 'const'].includes(keyword));
    if (other !== undefined) throw schemaError(at, `"${other}" cannot be combined with a list of values: leave it out`);
    if (values.length === 0) throw schemaError(at, 'none of the listed values is of the type: no answer would do');
    return choice(...values.map((value) => literal(JSON.stringify(value))));
  }

  #combine(keyword: (typeof COMBINING)[number], node: SchemaNode, depth: number): Expression {
    if (keyword === '$ref') return this.#rule(this.#references.target(node), depth);
    const parts = nodesOf(node, keyword);
    if (keyword === 'allOf' && parts.length > 1) {
      throw schemaError(
        node.at,
        '"allOf" with more than one schema is not supported: write one schema with all of their keywords',
      );
    }
    if (keyword === 'oneOf') this.#checkDisjoint(parts, node.at);
    return choice(...parts.map((part) => this.#rule(part, depth)));
  }

  #checkDisjoint(parts: readonly SchemaNode[], at: string): void {
    parts.forEach((part, index) => {
      const other = parts.slice(0, index).findIndex((each) => !areDisjoint(each, part, this.#references));
      if (other < 0) return;
      const problem = `a value may be of both schemas ${other} and ${index} of "oneOf": use "anyOf", or a required property of which each schema lists other values`;
      throw schemaError(at, problem);
    });
  }

  #anyOfTypes(node: SchemaNode, depth: number): Expression {
    if (keywordsOf(node).length === 0) return ANY_VALUE;
    return choice(...typesOf(node).map((type) => this.#ofType(type, node, depth)));
  }

  #ofType(type: JsonType, node: SchemaNode, depth: number): Expression {
    switch (type) {
      case 'object':
        return this.#object(node, depth);
      case 'array':
        return this.#array(node, depth);
      case 'string':
        return stringRule(node, this.#rules);
      case 'number':
      case 'integer':
        return numberRule(type, node);
      case 'boolean':
        return choice(literal('true'), literal('false'));
      case 'null':
        return literal('null');
    }
  }

  #object(node: SchemaNode, depth: number): Expression {
    const { schema, at } = node;
    const properties = Object.entries(nodeAt(schema.properties ?? {}, `${at}/properties`).schema);
    const required = requiredNames(node, new Set(properties.map(([name]) => name)));
    const additionalProperties = isAnything(schema.additionalProperties) ? true : schema.additionalProperties;
    checkPropertyNames(node);
    if (properties.length === 0) {
      if (additionalProperties === false) return braces(sequence());
      if (additionalProperties === true) return ANY_OBJECT;
      return mapOf(this.#rule(nodeAt(additionalProperties, `${at}/additionalProperties`), depth));
    }
    if (typeof additionalProperties !== 'boolean') {
      throw schemaError(
        at,
        '"additionalProperties" is a schema beside "properties", which is not supported: make it false, or leave "properties" out',
      );
    }
    const members = properties.map(([name, value]) => {
      const property = nodeAt(value, `${at}/properties/${pointerPart(name)}`);
      return {
        isRequired: required.has(name),
        text: member(literal(JSON.stringify(name)), this.#rule(property, depth)),
      };
    });
    return braces(this.#members(members, at));
  }

  /** Commas stand behind members that come before the first required one, and before those that come after it. */
  #members(members: readonly Member[], at: string): Expression {
    const anchor = members.findIndex(({ isRequired }) => isRequired);
    if (anchor < 0) return optional(this.#optionalMembers(members, at));
    const before = members.slice(0, anchor).map(({ text }) => optional(sequence(first(text), literal(','))));
    const after = members
      .slice(anchor + 1)
      .map(({ text, isRequired }) => (isRequired ? another(text) : optional(another(text))));
    return sequence(...before, first(members[anchor].text), ...after);
  }

  /** At least one of members that may all be left out: one of them is the first, and some of those behind it follow. */
  #optionalMembers(members: readonly Member[], at: string): Expression {
    const rest = (index: number): string => `members from ${index} on of ${at}`;
    this.#rules.set(rest(members.length), sequence());
    for (let index = members.length - 1; index > 0; index--) {
      this.#rules.set(rest(index), sequence(optional(another(members[index].text)), rule(rest(index + 1))));
    }
    return choice(...members.map(({ text }, index) => sequence(first(text), rule(rest(index + 1)))));
  }

  #array(node: SchemaNode, depth: number): Expression {
    const { schema, at } = node;
    const { least, most } = counts(node, 'minItems', 'maxItems');
    const { items = true } = schema;
    if (!('prefixItems' in schema)) {
      if (items === false) throw schemaError(at, '"items" is false: use "maxItems": 0');
      const item = items === true ? ANY_VALUE : this.#rule(nodeAt(items, `${at}/items`), depth);
      return listOf(item, least, most);
    }
    const prefix = nodesOf(node, 'prefixItems').map((each) => this.#rule(each, depth));
    if (
      items !== false ||
      (most ?? prefix.length) !== prefix.length ||
      ('minItems' in schema && least !== prefix.length)
    ) {
      const size = `"minItems" and "maxItems" of ${prefix.length}`;
      throw schemaError(
        at,
        `"prefixItems" is supported for arrays of just these items: add "items": false, and ${size} or none`,
      );
    }
    return brackets(sequence(first(prefix[0]), ...prefix.slice(1).map(another)));
  }
}

interface Member {
  readonly text: Expression;
  readonly isRequired: boolean;
}

function requiredNames({ schema, at }: SchemaNode, properties: ReadonlySet<string>): ReadonlySet<unknown> {
  const { required = [] } = schema;
  if (!Array.isArray(required)) throw schemaError(at, `"required" must be a list of names; got ${show(required)}`);
  const unknown: unknown = required.find((name) => !properties.has(name as string));
  if (unknown === undefined) return new Set(required);
  throw schemaError(at, `"required" has ${show(unknown)}, which is not in "properties": say there what it may be`);
}

/** A schema that allows everything, as an absent one does. */
function isAnything(schema: unknown): boolean {
  return schema === undefined || schema === true || JSON.stringify(schema) === '{}';
}

function checkPropertyNames({ schema, at }: SchemaNode): void {
  const { propertyNames } = schema;
  if (isAnything(propertyNames) || JSON.stringify(propertyNames) === '{"type":"string"}') return;
  throw schemaError(
    at,
    '"propertyNames" is supported only for names that may be any string: list the names in "properties"',
  );
}
