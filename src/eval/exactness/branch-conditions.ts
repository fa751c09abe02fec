import { numSealedPages } from '../../cache/sequence-pages.ts';
import type { GenerateResult } from '../../engine/types.ts';
import type { Cell } from './cell.ts';
import type { Condition } from './condition.ts';
import type { ExactEngine } from './exact-engine.ts';
import { SAMPLED } from './exact-text.ts';

const CONVERSATION = 1;

/** Conversations that share a beginning, and that go back. */
export const BRANCH_CONDITIONS: readonly Condition[] = [
  forked('forked inside a page', ({ text, format }) => {
    const ends = text.pageEnds(format);
    // The first is among the sink tokens, where the format has any.
    return [2, ends[0] + 20, ends[ends.length - 1] + 1];
  }),
  forked("forked at a page's end", ({ text, format }) => text.pageEnds(format)),
  rolledBack(),
];

function forked(name: string, pointsOf: (cell: Cell) => readonly number[]): Condition {
  return {
    name,
    async run(cell) {
      await cell.withEngine({ maxSequences: 2 }, async (engine) => {
        for (const [index, point] of pointsOf(cell).entries()) await checkBranches(cell, engine, point, 2 * index);
      });
    },
  };
}

/** Two branches go on at the same time, in different ways; the forked one is forked again when it has ended. */
async function checkBranches(cell: Cell, engine: ExactEngine, point: number, conversation: number): Promise<void> {
  const { text } = cell;
  const [first, second, third] = [conversation, conversation + 1, conversation + 1000];
  const tenant = `forks at ${point}`;
  const shared = { tenant, cachedTokens: point };
  await engine.run({ promptTokens: text.tokens.slice(0, point), conversation: first, tenant });
  engine.engine.forkConversation(first, second);
  const branch = text.goOn(point, 9, point);
  const name = `branch at ${point}`;
  const sampling = SAMPLED;
  const [, { tokenIds }] = await Promise.all([
    cell.check(engine, { ...shared, name: `text after a fork at ${point}`, conversation: first, rowsFrom: point }),
    cell.check(engine, { ...shared, name, tokens: branch, sampling, conversation: second, rowsFrom: point }),
  ]);
  engine.engine.forkConversation(second, third);
  const tokens = [...branch, ...tokenIds.slice(0, -1), ...text.other(point, 5)];
  const cachedTokens = branch.length + tokenIds.length - 1;
  const again = { tenant, cachedTokens, tokens, conversation: third, rowsFrom: cachedTokens };
  await cell.check(engine, { ...again, name: `${name}, forked again` });
  for (const each of [first, second, third]) engine.engine.releaseConversation(each);
}

/** Goes back to a position, is continued from there in its own way, goes back again, and does the rest of the text anew. */
function rolledBack(): Condition {
  return {
    name: 'rolled back and redone',
    async run(cell) {
      await cell.withEngine({ maxSequences: 1 }, async (engine) => {
        let { kv } = await cell.check(engine, { name: 'text', conversation: CONVERSATION, rowsFrom: 0 });
        for (const point of rollbackPoints(cell)) ({ kv } = await redo(cell, engine, point, kv.tokens));
      });
    },
  };
}

/** @param numStored tokens that the conversation holds, of the text and its answer */
async function redo(cell: Cell, engine: ExactEngine, point: number, numStored: number): Promise<GenerateResult> {
  const { text } = cell;
  const conversation = CONVERSATION;
  const tokens = text.tokens.slice(0, point);
  const back = { name: `rolled back to ${point}`, tokens, conversation, maxTokens: 0, rowsFrom: point - 1 };
  await cell.check(engine, { ...back, cachedTokens: keptTokens(cell, numStored, point - 1) });
  const { kv } = await engine.run({ promptTokens: text.goOn(point, 3, point), conversation, maxTokens: 3 });
  // Or the rest of the text would be found there.
  await engine.clearTree();
  const cachedTokens = keptTokens(cell, kv.tokens, point);
  return cell.check(engine, { name: `redone from ${point}`, conversation, rowsFrom: point, cachedTokens });
}

/** Around the ends of pages and in their middle, the last ones first. */
function rollbackPoints({ text, format }: Cell): number[] {
  const points = text.pageEnds(format).flatMap((end) => [end - 31, end - 1, end, end + 1]);
  return [text.length - 1, ...points.reverse()];
}

/** What is left of `numStored` tokens that go back to `numTokens`: the f16 values of sealed pages are gone. */
function keptTokens({ format }: Cell, numStored: number, numTokens: number): number {
  const numSealed = numSealedPages(format, numTokens);
  if (numSealed === numSealedPages(format, numStored)) return numTokens;
  return format.numSinkTokens + numSealed * format.pageSize;
}
