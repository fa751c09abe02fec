import type { ResolvedSampling } from '../../engine/defaults.ts';
import { besideOthers } from './companions.ts';
import { checkTogether, TEXT_RUNS, type Condition } from './condition.ts';
import { SAMPLED } from './exact-text.ts';

const SAMPLINGS: readonly ResolvedSampling[] = [
  SAMPLED,
  { ...SAMPLED, seed: 8 },
  { ...SAMPLED, temperature: 0.8, topK: 40, topP: 0.95, minP: 0.01, repetitionPenalty: 1.2, seed: 9 },
];

/** What requests ask for by themselves. */
export const REQUEST_CONDITIONS: readonly Condition[] = [
  {
    name: 'sampled, of one prompt at once',
    async run(cell) {
      await cell.withEngine({ maxSequences: SAMPLINGS.length }, async (engine) => {
        const runs = SAMPLINGS.map((sampling) => ({ name: `seed ${sampling.seed}`, sampling }));
        await Promise.all(runs.map((run) => cell.check(engine, run)));
      });
    },
  },
  {
    name: 'speculated by prompt lookup',
    async run(cell) {
      // The second half is a copy of the first, so that there is something to look up.
      const half = cell.text.tokens.slice(0, cell.text.length / 2);
      const tokens = [...half, ...half];
      let drafted = 0;
      await cell.withEngine({}, async (engine) => {
        for (const run of TEXT_RUNS) {
          const result = await cell.check(engine, { ...run, tokens, speculate: 'lookup', reusePrefix: false });
          drafted += result.speculation?.drafted ?? 0;
        }
      });
      cell.require(drafted > 0, 'nothing was drafted');
    },
  },
  {
    name: 'beside requests of other formats',
    async run(cell) {
      const { kv, otherKvs, text } = cell;
      const maxSequences = otherKvs.length + TEXT_RUNS.length;
      // The engine's own format is another one, so that the cell's comes in by a request.
      await cell.withEngine(
        { kv: otherKvs[0], maxSequences, kvMemory: cell.roomForAny(maxSequences) },
        async (engine) => {
          const formats = await Promise.all(otherKvs.map((other) => engine.formatNamed(other)));
          const others = formats.map((format) => ({ format }));
          const format = await engine.formatNamed(kv);
          await besideOthers(engine, text, others, () => checkTogether(cell, engine, { format }));
        },
      );
    },
  },
];
