import { randomStream } from './random-stream.ts';

/** The same for the same length. */
export function randomTokens(length: number, vocabularySize: number): number[] {
  const random = randomStream(length);
  return Array.from({ length }, () => Math.floor(random() * vocabularySize));
}
