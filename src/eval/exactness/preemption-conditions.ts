import { numSealedPages, numTokensIn } from '../../cache/sequence-pages.ts';
import type { SwapPlace } from '../../engine/protocol.ts';
import type { Cell } from './cell.ts';
import { TEXT_RUNS, type Condition } from './condition.ts';
import type { ExactEngine } from './exact-engine.ts';
import { SAMPLED } from './exact-text.ts';

const SWAP_BYTES = 2 ** 28;
/** Prompts after which the model may go on for long enough; one that ends its turn early preempts nobody. */
const MOST_ATTEMPTS = 6;
/** What the older sequence grows by, if the model does not end before: it takes most of the text's pages. */
const NUM_GROWN_PAGES = 3;

/** Sequences whose pages are given to others. */
export const PREEMPTION_CONDITIONS: readonly Condition[] = [
  preempted('preempted, computed again', undefined),
  preempted('preempted, swapped to memory', { kind: 'memory', maxBytes: SWAP_BYTES }),
  preempted('preempted, swapped to disk', { kind: 'disk', maxBytes: SWAP_BYTES }),
];

function preempted(name: string, swap: SwapPlace | undefined): Condition {
  return {
    name,
    async run(cell) {
      const { prefillChunk, kvMemory } = pressure(cell);
      await cell.withEngine({ maxSequences: 3, policy: 'priority', prefillChunk, kvMemory, swap }, async (engine) => {
        for (const [index, run] of TEXT_RUNS.entries()) {
          const isPreempted = await checkPreempted(cell, engine, run, index);
          cell.require(isPreempted, `${run.name}: nothing was preempted`);
        }
        const what = `${engine.numRestored} pages came back from ${swap?.kind ?? 'nowhere'}`;
        cell.require(!swap || engine.numRestored > 0, what);
      });
    },
  };
}

/**
 * Runs the text beside an older sequence that needs its pages.
 *
 * @param first of the attempts: even ones preempt the text while it is a prompt, odd ones in its answer
 * @returns whether it was preempted in one of them
 */
async function checkPreempted(
  cell: Cell,
  engine: ExactEngine,
  run: (typeof TEXT_RUNS)[number],
  first: number,
): Promise<boolean> {
  // Or the older sequence would be far ahead when the text comes.
  await cell.prepare(run);
  for (let attempt = first; attempt < first + MOST_ATTEMPTS; attempt++) {
    const tenant = `${run.name} ${attempt}`;
    const growing = growOld(cell, engine, attempt, tenant);
    await Promise.race([growing.isUnderWay, growing.ended]);
    const isRunning = Promise.withResolvers<void>();
    const events = { onStart: () => isRunning.resolve() };
    const checking = cell.check(engine, { ...run, tenant, events });
    const pushing = Promise.race([isRunning.promise, checking]).then(() => pushIn(cell, engine, attempt, tenant));
    const [{ preemptions }] = await Promise.all([checking, growing.ended, pushing]);
    if (preemptions > 0) return true;
  }
  return false;
}

/** Starts the older sequence. Even attempts give it time, so that it needs pages while the text is still a prompt. */
function growOld(cell: Cell, engine: ExactEngine, attempt: number, tenant: string) {
  const { promptLength } = pressure(cell);
  const headStart = attempt % 2 === 0 ? promptLength / 2 : 0;
  const isUnderWay = Promise.withResolvers<void>();
  if (headStart === 0) isUnderWay.resolve();
  const request = { promptTokens: cell.text.other(attempt, promptLength), sampling: { ...SAMPLED, seed: attempt } };
  const ended = engine.run(
    { ...request, maxTokens: NUM_GROWN_PAGES * cell.format.pageSize, tenant, priority: 1 },
    { onPrefillProgress: ({ computedTokens }) => computedTokens >= headStart && isUnderWay.resolve() },
  );
  return { isUnderWay: isUnderWay.promise, ended };
}

/** A request that goes before the text as soon as that has given its pages up, and needs what is left of them: so that they are evicted. */
function pushIn({ text, format }: Cell, engine: ExactEngine, attempt: number, tenant: string) {
  // The older sequence has two pages more then than when the text was admitted.
  const numPages = numSealedPages(format, text.length) - 2;
  const promptTokens = text.other(MOST_ATTEMPTS + attempt, numTokensIn(format, numPages) + format.pageSize / 2);
  return engine.run({ promptTokens, maxTokens: 2, tenant, priority: 1 });
}

/**
 * Memory for the text and for an older sequence as it is admitted: with its prompt and a page more. The prompt is two tokens short of a
 * page, so that it needs a third page when it has generated as many tokens as a page has, and two. Chunks are such that the text is in the
 * middle of its answer then, if it starts at the same time.
 */
function pressure({ text, format, bytesOf }: Cell) {
  const promptLength = numTokensIn(format, 1) - 2;
  const numSteps = format.pageSize + 2 - text.numGenerated / 2;
  const prefillChunk = Math.max(1, Math.floor((text.length - promptLength) / numSteps));
  const kvMemory = bytesOf(text.length) + bytesOf(promptLength + format.pageSize);
  return { promptLength, prefillChunk, kvMemory };
}
