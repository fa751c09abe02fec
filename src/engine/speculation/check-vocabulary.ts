import { KvantError } from '../../errors.ts';
import { readTokenizerMetadata, type ModelMetadata, type TokenizerMetadata } from '../../tokens/tokenizer-metadata.ts';

/** What a model is called and what its tokens are. */
export interface NamedVocabulary {
  readonly name: string;
  /** The keys `tokenizer.ggml.*`. */
  readonly tokenizerMetadata: ModelMetadata;
}

const SPECIAL_IDS = { bosId: 'BOS', eosId: 'EOS', eotId: 'end-of-turn', eomId: 'end-of-message' } as const;

/**
 * Refuses a draft model whose token ids mean something else than the target's.
 *
 * @throws KvantError MODEL_UNSUPPORTED naming the first difference; MODEL_INVALID if a vocabulary cannot be read
 */
export function checkSameVocabulary(target: NamedVocabulary, draft: NamedVocabulary): void {
  const difference = firstDifference(
    readTokenizerMetadata(target.tokenizerMetadata),
    readTokenizerMetadata(draft.tokenizerMetadata),
  );
  if (difference === undefined) return;
  throw new KvantError(
    'MODEL_UNSUPPORTED',
    `the draft model "${draft.name}" cannot draft for "${target.name}": ${difference}; use a smaller model of the same family, ` +
      'or leave draftModel out and speculate by lookup',
  );
}

function firstDifference(target: TokenizerMetadata, draft: TokenizerMetadata): string | undefined {
  if (target.tokens.length !== draft.tokens.length) {
    return `it has ${draft.tokens.length} tokens instead of ${target.tokens.length}`;
  }
  const id = target.tokens.findIndex((token, i) => token !== draft.tokens[i]);
  if (id >= 0)
    return `its token ${id} is ${JSON.stringify(draft.tokens[id])} instead of ${JSON.stringify(target.tokens[id])}`;
  for (const [field, name] of Object.entries(SPECIAL_IDS)) {
    const [expected, found] = [target, draft].map((vocabulary) => vocabulary[field as keyof typeof SPECIAL_IDS]);
    if (expected !== found) return `its ${name} token is ${found ?? 'missing'} instead of ${expected ?? 'none'}`;
  }
  return undefined;
}
