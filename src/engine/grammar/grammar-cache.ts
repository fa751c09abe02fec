import { KvantError } from '../../errors.ts';
import type { ResponseFormat } from '../output-types.ts';
import { AnswerGrammar } from './answer-grammar.ts';
import { JSON_RULES } from './json-rules.ts';
import { schemaRules } from './schema-rules.ts';
import { TokenTrie, type TokenBytes } from './token-trie.ts';

/** Grammars that are kept: each remembers up to some 10 MB of what it was asked. */
const MAX_GRAMMARS = 16;
/** UTF-16 units of a schema's JSON. */
const MAX_SCHEMA_LENGTH = 65_536;

/** The grammars of an engine's requests, made when they are first asked for. */
export class GrammarCache {
  readonly #tokenizer: TokenBytes;
  readonly #maxGrammars: number;
  #trie: TokenTrie | undefined;
  /** By format; the one that was used last is the last one. */
  readonly #grammars = new Map<string, AnswerGrammar>();

  constructor(tokenizer: TokenBytes, maxGrammars = MAX_GRAMMARS) {
    this.#tokenizer = tokenizer;
    this.#maxGrammars = maxGrammars;
  }

  /**
   * @returns the grammar of a format, undefined for text
   * @throws KvantError INVALID_OPTION for a schema that cannot be used, which says why
   */
  get(format: ResponseFormat): AnswerGrammar | undefined {
    if (format.type === 'text') return undefined;
    const key = format.type === 'json_object' ? '' : textOf(format.schema);
    const grammar = this.#grammars.get(key) ?? this.#create(key);
    this.#grammars.delete(key);
    this.#grammars.set(key, grammar);
    if (this.#grammars.size > this.#maxGrammars) this.#grammars.delete(this.#grammars.keys().next().value ?? '');
    return grammar;
  }

  get size(): number {
    return this.#grammars.size;
  }

  /** @param schema its JSON; empty: any object */
  #create(schema: string): AnswerGrammar {
    const rules = schema === '' ? { rules: JSON_RULES, root: 'any object' } : schemaRules(JSON.parse(schema));
    this.#trie ??= new TokenTrie(this.#tokenizer);
    return new AnswerGrammar(rules, this.#trie, this.#tokenizer);
  }
}

function textOf(schema: object): string {
  const text = toJson(schema);
  if (text.length <= MAX_SCHEMA_LENGTH) return text;
  const message = `option "responseFormat.schema" has ${text.length} characters as JSON, more than ${MAX_SCHEMA_LENGTH}: make it smaller`;
  throw new KvantError('INVALID_OPTION', message);
}

function toJson(schema: object): string {
  try {
    return JSON.stringify(schema);
  } catch (cause) {
    throw new KvantError(
      'INVALID_OPTION',
      'option "responseFormat.schema" must be plain JSON: it holds itself, or a bigint',
      { cause },
    );
  }
}
