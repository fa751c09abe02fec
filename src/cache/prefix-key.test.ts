import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { pageKey, rootKey, sha256Hex } from './prefix-key.ts';

const ROOT = '00'.repeat(32);

test('digests are SHA-256: the vectors of FIPS 180-4', () => {
  assert.equal(sha256Hex(new Uint8Array()), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  const abc = new TextEncoder().encode('abc');
  assert.equal(sha256Hex(abc), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
});

test('a page key is the digest of the parent, the length of the salt, the tokens and the salt, as little-endian words', () => {
  const parent = rootKey({ model: 'x' });
  const words = Buffer.from(Uint32Array.of(3, 7, 70_000, 0).buffer);
  const expected = createHash('sha256').update(Buffer.from(parent, 'hex')).update(words).update('abc').digest('hex');
  assert.equal(pageKey(parent, 'abc', [7, 70_000, 0]), expected);
});

test('everything that goes in changes the key', () => {
  const keys = [
    pageKey(ROOT, 'a', [1, 2]),
    pageKey(rootKey({}), 'a', [1, 2]),
    pageKey(ROOT, 'b', [1, 2]),
    pageKey(ROOT, '', [1, 2]),
    pageKey(ROOT, 'a', [2, 1]),
    pageKey(ROOT, 'a', [1]),
    pageKey(ROOT, 'a', [1, 2, 0]),
  ];
  assert.equal(new Set(keys).size, keys.length);
});

test('no salt passes for another one and some tokens', () => {
  const word = (value: number): string => String.fromCharCode(...Buffer.from(Uint32Array.of(value).buffer));
  const keys = [
    pageKey(ROOT, '', [1, 2, 3]),
    pageKey(ROOT, word(3), [1, 2]),
    pageKey(ROOT, word(2) + word(3), [1]),
    pageKey(ROOT, word(1) + word(2) + word(3), []),
    // What a key of no salt length would be made of: the tokens, then the salt.
    pageKey(ROOT, 'abcd', [1]),
    pageKey(ROOT, 'efgh', [1, Buffer.from('abcd').readUInt32LE()]),
    pageKey(ROOT, 'abcdefgh', [1]),
  ];
  assert.equal(new Set(keys).size, keys.length);
});

test('an identity is what its names and values are, in any order', () => {
  assert.equal(rootKey({ a: 1, b: [2, 3] }), rootKey({ b: [2, 3], a: 1 }));
  const identities = [
    {},
    { a: 1 },
    { a: '1' },
    { b: 1 },
    { a: 1, b: 2 },
    { a: [1] },
    { a: 'x","b":"y' },
    { a: 'x', b: 'y' },
  ];
  assert.equal(new Set(identities.map(rootKey)).size, identities.length);
});
