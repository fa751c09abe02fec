import { readFileSync } from 'node:fs';
import { createRandom } from './random.ts';
import type { SimulatedText } from './simulate.ts';

/** The first 2,048 tokens of "Frankenstein" (1831, public domain), by the embedded model's tokenizer. */
export function novel(): number[] {
  const bytes = readFileSync(new URL('../../../../test/reference/smollm2/tokens.u16', import.meta.url));
  return Array.from({ length: bytes.length / 2 }, (_, i) => bytes.readUInt16LE(2 * i));
}

/** A prompt, and an answer that goes on with other text of the same book. */
export function freeText(numPrompt: number, numAnswer: number, start = 0): SimulatedText {
  const text = novel().slice(start, start + numPrompt + numAnswer);
  return { prompt: text.slice(0, numPrompt), answer: text.slice(numPrompt) };
}

/** An answer that repeats the prompt with edits, so many tokens apart on average: one to three tokens replaced, put in or left out. */
export function editedText(numPrompt: number, tokensPerEdit: number, seed: number, start = 0): SimulatedText {
  const random = createRandom(seed);
  const prompt = novel().slice(start, start + numPrompt);
  const answer: number[] = [];
  for (let i = 0; i < prompt.length;) {
    if (random() >= 1 / tokensPerEdit) {
      answer.push(prompt[i++]);
      continue;
    }
    const numNew = Math.floor(random() * 4);
    const numOld = Math.max(numNew === 0 ? 1 : 0, Math.floor(random() * 4));
    for (let j = 0; j < numNew; j++) answer.push(novel()[Math.floor(random() * 2048)]);
    i += numOld;
  }
  return { prompt, answer };
}

/** An answer of spans of 4 to 60 tokens: copied from the prompt with a probability of `copyRate`, else other text of the book. */
export function mixedText(copyRate: number, numAnswer: number, seed: number): SimulatedText {
  const random = createRandom(seed);
  const book = novel();
  const prompt = book.slice(0, 1000);
  const answer: number[] = [];
  let fresh = 1000;
  while (answer.length < numAnswer) {
    const length = 4 + Math.floor(random() * 57);
    const isCopy = random() < copyRate;
    const from = isCopy ? Math.floor(random() * (prompt.length - length)) : fresh;
    answer.push(...book.slice(from, from + length));
    if (!isCopy) fresh = fresh + length > 1900 ? 1000 + Math.floor(random() * 60) : fresh + length;
  }
  return { prompt, answer: answer.slice(0, numAnswer) };
}

/** Copies that always break off: spans of exactly `span` tokens of the prompt, each followed by a token that nothing foretells. */
export function brokenCopies(span: number, numAnswer: number, seed: number): SimulatedText {
  const random = createRandom(seed);
  const prompt = novel().slice(0, 1000);
  const answer: number[] = [];
  while (answer.length < numAnswer) {
    const from = Math.floor(random() * (prompt.length - span));
    answer.push(...prompt.slice(from, from + span), 50_000 + Math.floor(random() * 1e6));
  }
  return { prompt, answer: answer.slice(0, numAnswer) };
}
