import { Automaton, type Place } from '../automaton.ts';
import type { RuleSet } from '../expression.ts';

/** Whether a text is one of a grammar's. */
export function accepts(rules: RuleSet, text: string): boolean {
  const automaton = new Automaton(rules);
  let place: Place | null = automaton.start;
  for (const byte of new TextEncoder().encode(text)) place = place && automaton.step(place, byte);
  return place?.isComplete ?? false;
}

const CLOSING = [...'"}]'].map((character) => character.charCodeAt(0));
const MAX_BYTES = 20_000;

/** One of a grammar's texts, byte by byte at random. @throws if it does not end */
export function randomText(automaton: Automaton, random: () => number): string {
  const bytes: number[] = [];
  let place = automaton.start;
  while (bytes.length < MAX_BYTES) {
    const next = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => automaton.step(place, byte));
    if (place.isComplete && (next.length === 0 || random() < 0.5))
      return new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(bytes));
    if (next.length === 0) throw new Error('no text goes on here');
    // Else strings and lists without a limit would hardly end.
    const closing = next.filter((byte) => CLOSING.includes(byte));
    const choices = closing.length > 0 && random() < Math.min(0.7, bytes.length / 300) ? closing : next;
    const byte = choices[Math.floor(random() * choices.length)];
    bytes.push(byte);
    place = automaton.step(place, byte) ?? place;
  }
  throw new Error('the text does not end');
}
