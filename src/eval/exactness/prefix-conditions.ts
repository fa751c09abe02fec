import { numSealedPages, numTokensIn } from '../../cache/sequence-pages.ts';
import { checkInTurn, type Condition } from './condition.ts';
import type { Cell } from './cell.ts';
import type { ExactEngine } from './exact-engine.ts';
import { SAMPLED } from './exact-text.ts';

/** Tokens before or behind the end of a page. */
const OFFSETS = [0, 1, -1] as const;
/** Of prompts that go on in another way: enough to fill the page that they end before. */
const NUM_OWN = 2;

/** Pages that others have filled. Each case has a tenant of its own, which finds nothing of the other cases. */
export const PREFIX_CONDITIONS: readonly Condition[] = [
  ...OFFSETS.map(sharedUpTo),
  ...OFFSETS.map(endsAt),
  tailEvicted(),
  tenantsApart(),
  publicPrefix(),
];

function sharedUpTo(offset: number): Condition {
  return {
    name: `prefix shared up to a page's end${signed(offset)}`,
    async run(cell) {
      const { text, format } = cell;
      await cell.withEngine({ maxSequences: 1 }, async (engine) => {
        for (const end of text.pageEnds(format)) {
          const tenant = `shares ${end + offset}`;
          const others = text.goOn(end + offset, NUM_OWN, end);
          await cell.check(engine, { name: `others, ${tenant}`, tokens: others, tenant, cachedTokens: 0 });
          const cachedTokens = fullPages(cell, end + offset);
          await cell.check(engine, { name: tenant, tenant, cachedTokens, rowsFrom: cachedTokens });
        }
      });
    },
  };
}

function endsAt(offset: number): Condition {
  return {
    name: `prompt that ends at a page's end${signed(offset)}`,
    async run(cell) {
      const { text, format } = cell;
      await cell.withEngine({ maxSequences: 1 }, async (engine) => {
        await engine.run({ promptTokens: text.tokens });
        for (const end of text.pageEnds(format)) {
          const tokens = text.tokens.slice(0, end + offset);
          // The last token is computed in any case.
          const cachedTokens = fullPages(cell, tokens.length - 1);
          const run = { name: `ends at ${tokens.length}`, tokens, cachedTokens, rowsFrom: cachedTokens };
          await cell.check(engine, { ...run, maxTokens: 0 });
        }
      });
    },
  };
}

function tailEvicted(): Condition {
  return {
    name: 'prefix whose tail was evicted',
    async run(cell) {
      const { text, format } = cell;
      await cell.withEngine({ maxSequences: 1 }, async (engine) => {
        const ends = [0, ...text.pageEnds(format)];
        await engine.run({ promptTokens: text.tokens });
        for (const [numKept, end] of [...ends.entries()].reverse()) {
          await keepPages(engine, numKept);
          await cell.check(engine, { name: `${numKept} pages kept`, cachedTokens: end, rowsFrom: end });
        }
      });
    },
  };
}

/** Evicts pages until the tree has so many. */
function keepPages(engine: ExactEngine, numPages: number): Promise<void> {
  return engine.engine.betweenSteps((memory) => {
    while (memory.tree.numPages > numPages && memory.evictOne());
  });
}

function tenantsApart(): Condition {
  return {
    name: 'prefix of another tenant',
    async run(cell) {
      await cell.withEngine({ maxSequences: 1 }, async (engine) => {
        await engine.run({ promptTokens: cell.text.tokens, tenant: 'first' });
        for (const tenant of ['second', 'third']) {
          await cell.check(engine, { name: tenant, tenant, cachedTokens: 0, rowsFrom: 0 });
          const cachedTokens = fullPages(cell, cell.text.length - 1);
          await cell.check(engine, { name: `${tenant}, again`, tenant, cachedTokens, sampling: SAMPLED });
        }
      });
    },
  };
}

function publicPrefix(): Condition {
  return {
    name: 'public prefix of all tenants',
    async run(cell) {
      const { text, format } = cell;
      await cell.withEngine({ maxSequences: 1 }, async (engine) => {
        for (const end of text.pageEnds(format)) {
          // Of the page in which it ends, nothing is public.
          engine.engine.declarePublicPrefix(text.tokens.slice(0, end + 1));
          await engine.run({ promptTokens: text.tokens, tenant: `first to ${end}` });
          const run = { name: `public up to ${end + 1}`, tenant: `second to ${end}` };
          await cell.check(engine, { ...run, cachedTokens: end, rowsFrom: end });
          await checkInTurn(cell, engine, { tenant: run.tenant, rowsFrom: fullPages(cell, text.length - 1) });
        }
      });
    },
  };
}

/** Tokens of the full pages among the first `numTokens`. */
function fullPages({ format }: Cell, numTokens: number): number {
  return numTokensIn(format, numSealedPages(format, numTokens));
}

function signed(offset: number): string {
  return offset === 0 ? '' : offset > 0 ? ` + ${offset}` : ` - ${-offset}`;
}
