import { schemaError } from './schema-error.ts';
import { nodeAt, pointerPart, show, type SchemaNode } from './json-schema.ts';

/** Finds what `$ref` names within a schema: JSON pointers (RFC 6901) as fragments, such as `#/$defs/name`. */
export class SchemaReferences {
  readonly #root: SchemaNode;

  constructor(root: SchemaNode) {
    this.#root = root;
  }

  /** What a node's `$ref` names. @throws KvantError INVALID_OPTION if that is not in the schema */
  target({ schema, at }: SchemaNode): SchemaNode {
    const reference = schema.$ref;
    if (typeof reference !== 'string' || !(reference === '#' || reference.startsWith('#/'))) {
      throw schemaError(at, `"$ref" must point into the schema itself, such as "#/$defs/name"; got ${show(reference)}`);
    }
    let value: unknown = this.#root.schema;
    let place = '#';
    for (const part of reference.split('/').slice(1)) {
      const key = decode(part).replaceAll('~1', '/').replaceAll('~0', '~');
      const isThere = typeof value === 'object' && value !== null && Object.hasOwn(value, key);
      if (!isThere) throw schemaError(at, `"$ref" names ${show(reference)}, which is not in the schema`);
      value = (value as Record<string, unknown>)[key];
      place += `/${pointerPart(key)}`;
    }
    return nodeAt(value, place);
  }

  /** Follows a node's references to a schema that is none. @throws KvantError INVALID_OPTION if they lead in a circle */
  resolve(node: SchemaNode): SchemaNode {
    const seen = new Set<string>();
    let resolved = node;
    while ('$ref' in resolved.schema) {
      if (seen.has(resolved.at)) throw schemaError(node.at, '"$ref" leads back to itself');
      seen.add(resolved.at);
      resolved = this.target(resolved);
    }
    return resolved;
  }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
