/** A random id. `crypto.randomUUID` would do, but browsers have it on https and loopback only. */
export function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
