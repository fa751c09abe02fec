import type { TokenLogProb } from '../engine/output-types.ts';
import type { Generation, GenerateResult, TextChunk } from '../engine/types.ts';
import { shuttingDown } from './api-error.ts';

/** What comes of several answers, in the order in which it comes. */
export type AnswerEvent =
  { readonly index: number; readonly chunk: TextChunk } | { readonly index: number; readonly result: GenerateResult };

/** Chunks of all answers as they come, and each answer's result after its last one. @throws what the first one that fails fails with */
export async function* mergeAnswers(answers: readonly Generation[]): AsyncGenerator<AnswerEvent> {
  const iterators = answers.map((answer) => answer[Symbol.asyncIterator]());
  const next = (index: number) => {
    const pending = iterators[index].next().then((step) => ({ index, step }));
    // A reader that leaves waits for none of them any more.
    pending.catch(() => undefined);
    return pending;
  };
  const pending = new Map(answers.map((_, index) => [index, next(index)]));
  while (pending.size > 0) {
    const { index, step } = await Promise.race(pending.values());
    if (!step.done) {
      pending.set(index, next(index));
      yield { index, chunk: step.value };
    } else {
      pending.delete(index);
      yield { index, result: whole(await answers[index].result) };
    }
  }
}

/** Results of all answers, with log-probabilities of the tokens that are in the text alone. @throws what the first one that fails fails with */
export async function allResults(answers: readonly Generation[]): Promise<GenerateResult[]> {
  const results = (await Promise.all(answers.map(({ result }) => result))).map(whole);
  return Promise.all(results.map((result, index) => withShownLogProbs(result, answers[index])));
}

/** Without the token that ended the turn and those of a stop string, which clients do not see. */
async function withShownLogProbs(result: GenerateResult, answer: Generation): Promise<GenerateResult> {
  if (!result.logProbs) return result;
  const shown: TokenLogProb[] = [];
  for await (const { logProbs = [] } of answer) shown.push(...logProbs);
  return { ...result, logProbs: shown };
}

/** An answer that was aborted has a client that is gone, or the server ends. @throws ApiError */
function whole(result: GenerateResult): GenerateResult {
  if (result.finishReason === 'aborted') throw shuttingDown();
  return result;
}
