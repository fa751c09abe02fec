import type { Generation, GenerateResult, TextChunk } from '../engine/types.ts';
import { shuttingDown } from './api-error.ts';

/** What comes of several answers, in the order in which it comes. */
export type AnswerEvent =
  { readonly index: number; readonly chunk: TextChunk } | { readonly index: number; readonly result: GenerateResult };

/** Chunks of all answers as they come, and each answer's result after its last one. @throws what the first one that fails fails with */
export async function* mergeAnswers(answers: readonly Generation[]): AsyncGenerator<AnswerEvent> {
  const iterators = answers.map((answer) => answer[Symbol.asyncIterator]());
  const next = async (index: number) => ({ index, step: await iterators[index].next() });
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

/** Results of all answers. @throws what the first one that fails fails with */
export async function allResults(answers: readonly Generation[]): Promise<GenerateResult[]> {
  return (await Promise.all(answers.map(({ result }) => result))).map(whole);
}

/** An answer that was aborted has a client that is gone, or the server ends. @throws ApiError */
function whole(result: GenerateResult): GenerateResult {
  if (result.finishReason === 'aborted') throw shuttingDown();
  return result;
}
