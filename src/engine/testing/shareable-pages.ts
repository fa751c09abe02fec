import { numSealedPages, numTokensIn } from '../../cache/sequence-pages.ts';
import type { KvFormat } from '../../quant/kv-format.ts';

/** A request's tokens, and whose pages it may use. */
export interface PageSharer {
  readonly format: KvFormat;
  readonly tenant: string;
  /** First tokens that everybody may share. */
  readonly numPublicTokens: number;
  /** The prompt and the answer. */
  readonly tokens: readonly number[];
  /** Tokens of the prompt. */
  readonly numPromptTokens: number;
}

/** Which prefixes two requests have in common that may share pages: a model of the rules, without keys, trees or pages. */
export class ShareablePages {
  readonly #numRequests = new Map<string, number>();

  add(sharer: PageSharer): void {
    for (const prefix of [...prefixesOf(sharer), promptOf(sharer)])
      this.#numRequests.set(prefix, (this.#numRequests.get(prefix) ?? 0) + 1);
  }

  /** Whether another request than this one, which was added as well, has the same first `numTokens` tokens in pages, or the same prompt. */
  canBeShared(sharer: PageSharer, numTokens: number): boolean {
    if (numTokens === sharer.numPromptTokens - 1 && (this.#numRequests.get(promptOf(sharer)) ?? 0) > 1) return true;
    const prefix = prefixesOf(sharer)[numSealedPages(sharer.format, numTokens) - 1];
    return (this.#numRequests.get(prefix) ?? 0) > 1;
  }
}

/** A name for the whole prompt, of its owner and format. */
function promptOf({ format, tenant, tokens, numPromptTokens }: PageSharer): string {
  return `${format.name}, prompt of ${tenant}: ${tokens.slice(0, numPromptTokens).join()}`;
}

/** A name for each full page: of its owner, its format and all tokens up to its end. */
function prefixesOf({ format, tenant, numPublicTokens, tokens }: PageSharer): string[] {
  const numPublicPages = numSealedPages(format, numPublicTokens);
  return Array.from({ length: numSealedPages(format, tokens.length) }, (_, index) => {
    const owner = index < numPublicPages ? 'everybody' : `${tenant} after ${numPublicPages} public pages`;
    return `${format.name}, ${owner}: ${tokens.slice(0, numTokensIn(format, index + 1)).join()}`;
  });
}
