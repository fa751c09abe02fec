import type { Expression } from './expression.ts';
import { schemaError } from './schema-error.ts';

/**
 * Refuses grammars that cannot be followed: rules without any finite text, and rules that begin with themselves.
 *
 * @param rules by name, which is their place in the schema
 * @throws KvantError INVALID_OPTION
 */
export function checkRules(rules: ReadonlyMap<string, Expression>): void {
  const endless = findEndless(rules);
  if (endless !== undefined) {
    throw schemaError(
      endless,
      'the schema requires itself again and again: no answer would ever be complete; make a property optional or allow null',
    );
  }
  const circle = [...rules.keys()].find((name) => beginsWithItself(name, rules));
  if (circle !== undefined)
    throw schemaError(circle, 'the schema is itself, or may be: leave the reference to itself out');
}

/** A rule that has no finite text: rules are known to have one as soon as all that they need has one. */
function findEndless(rules: ReadonlyMap<string, Expression>): string | undefined {
  const finite = new Set<string>();
  for (let numBefore = -1; numBefore < finite.size;) {
    numBefore = finite.size;
    for (const [name, expression] of rules) if (isFinite(expression, finite)) finite.add(name);
  }
  return [...rules.keys()].find((name) => !finite.has(name));
}

function isFinite(expression: Expression, finite: ReadonlySet<string>): boolean {
  switch (expression.kind) {
    case 'byte':
      return true;
    case 'rule':
      return finite.has(expression.name);
    case 'sequence':
      return expression.items.every((item) => isFinite(item, finite));
    case 'choice':
      return expression.items.some((item) => isFinite(item, finite));
    case 'repeat':
      return expression.min === 0 || isFinite(expression.item, finite);
  }
}

/** Whether a rule leads to itself through rules that are nothing else than others; all others begin with a byte. */
function beginsWithItself(name: string, rules: ReadonlyMap<string, Expression>): boolean {
  const seen = new Set<string>();
  const toFollow = sameAs(rules.get(name));
  for (let next = toFollow.pop(); next !== undefined; next = toFollow.pop()) {
    if (next === name) return true;
    if (seen.has(next)) continue;
    seen.add(next);
    toFollow.push(...sameAs(rules.get(next)));
  }
  return false;
}

/** Rules that an expression may be without anything before or behind. */
function sameAs(expression: Expression | undefined): string[] {
  if (expression?.kind === 'rule') return [expression.name];
  if (expression?.kind === 'choice') return expression.items.flatMap(sameAs);
  return [];
}
