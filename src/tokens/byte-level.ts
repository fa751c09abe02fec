/**
 * The byte-level alphabet of GPT-2 (`bytes_to_unicode` in openai/gpt-2): each of the 256 bytes as one printable character.
 * Printable Latin-1 bytes stand for themselves; the others, in order, are U+0100, U+0101, ...
 */
export const BYTE_TO_CHARACTER: readonly string[] = byteToCharacter();

const CHARACTER_TO_BYTE: ReadonlyMap<string, number> = new Map(
  BYTE_TO_CHARACTER.map((character, byte) => [character, byte]),
);

function byteToCharacter(): string[] {
  const isPrintable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let numUnprintable = 0;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCharCode(isPrintable(byte) ? byte : 0x100 + numUnprintable++),
  );
}

/**
 * Bytes of a token of a byte-level vocabulary. A character outside the alphabet, which only a token added by hand
 * can hold, gives its own UTF-8 bytes.
 */
export function byteLevelBytes(token: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of token) {
    const byte = CHARACTER_TO_BYTE.get(character);
    if (byte === undefined) bytes.push(...new TextEncoder().encode(character));
    else bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}
