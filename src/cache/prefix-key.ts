import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';

/** SHA-256 as 64 hexadecimal digits. */
export type PrefixKey = string;

/**
 * The key that a chain of pages starts with.
 *
 * @param identity everything that the bytes of a page depend on beside its tokens and those before: names and values
 */
export function rootKey(identity: Readonly<Record<string, unknown>>): PrefixKey {
  const sorted = Object.entries(identity).sort(([a], [b]) => (a < b ? -1 : 1));
  return bytesToHex(sha256(utf8ToBytes(JSON.stringify(sorted))));
}

/**
 * The key of a page: SHA-256 over the key of what comes before, the salt and its tokens.
 *
 * @param salt what keeps pages of the same tokens apart, such as a tenant
 */
export function pageKey(parent: PrefixKey, salt: string, tokens: readonly number[]): PrefixKey {
  const saltBytes = utf8ToBytes(salt);
  // The length goes first, so that no salt can pass for another one and some tokens.
  const numbers = Uint32Array.of(saltBytes.length, ...tokens);
  const view = new DataView(new ArrayBuffer(4 * numbers.length));
  numbers.forEach((value, i) => view.setUint32(4 * i, value, true));
  return bytesToHex(sha256(concatBytes(hexToBytes(parent), new Uint8Array(view.buffer), saltBytes)));
}

/** SHA-256 of bytes, as hexadecimal digits. */
export function sha256Hex(bytes: Uint8Array): string {
  return bytesToHex(sha256(bytes));
}
