import { numSealedPages, numTokensIn } from '../../cache/sequence-pages.ts';
import { TEXT_RUNS, type Condition } from './condition.ts';

/** What comes out of session files. */
export const FILE_CONDITIONS: readonly Condition[] = [
  {
    name: 'restored from a file',
    async run(cell) {
      const { text, format, scratchFile } = cell;
      if (scratchFile === undefined) return cell.require(false, 'there is no place for a file');
      await cell.withEngine({}, async (engine) => {
        await engine.run({ promptTokens: text.tokens });
        await engine.save(scratchFile, text.tokens);
      });
      await cell.withEngine({}, async (engine) => {
        const { problem } = await engine.load(scratchFile);
        cell.require(problem === undefined, problem ?? '');
        // The last token is computed in any case.
        const cachedTokens = numTokensIn(format, numSealedPages(format, text.length - 1));
        for (const run of TEXT_RUNS) await cell.check(engine, { ...run, rowsFrom: cachedTokens, cachedTokens });
      });
    },
  },
];
