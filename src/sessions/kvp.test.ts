import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { encodeKvpHead, readKvpHead, type KvpHeader, type KvpSource } from './kvp-header.ts';
import { encodeKvp, kvpFileBytes, readKvpPages, type KvpPageRead, type KvpReport } from './kvp-pages.ts';
import { collect, memorySource, randomSession, type RandomSessionOptions } from './testing/random-session.ts';

interface Read {
  readonly header: KvpHeader;
  readonly pages: readonly KvpPageRead[];
  readonly report: KvpReport;
}

async function encode(options?: RandomSessionOptions): Promise<Uint8Array<ArrayBuffer>> {
  const { header, pages } = randomSession(options);
  return collect(encodeKvp(header, pages));
}

async function readAll(source: KvpSource, numWanted?: number): Promise<Read> {
  const head = await readKvpHead(source);
  const pages: KvpPageRead[] = [];
  const report = await readKvpPages(source, head, (page) => void pages.push(page), numWanted);
  return { header: head.header, pages, report };
}

const read = (bytes: Uint8Array): Promise<Read> => readAll(memorySource(bytes));

/** A header whose fields were changed by somebody who knows how to make a checksum. */
async function forge(change: (bytes: Uint8Array, view: DataView) => void): Promise<Uint8Array> {
  const bytes = await encode();
  const { headerBytes } = await readKvpHead(memorySource(bytes));
  change(bytes, new DataView(bytes.buffer));
  bytes.fill(0, 64, 96);
  bytes.set(createHash('sha256').update(bytes.subarray(0, headerBytes)).digest(), 64);
  return bytes;
}

describe('a session file', () => {
  const cases: readonly (readonly [string, RandomSessionOptions])[] = [
    ['no page and few tokens', { numPages: 0, numTailTokens: 1 }],
    ['no page, no token', { numPages: 0, numTailTokens: 0, withSink: false }],
    ['one page', { numPages: 1 }],
    ['one page without a sink, and nothing behind it', { numPages: 1, withSink: false, numTailTokens: 0 }],
    ['many pages', { numPages: 70, sealedPageBytes: 8192 }],
    ['many pages without a sink', { numPages: 33, withSink: false }],
    [
      'messages in any script, half a surrogate pair too',
      { changes: { messages: [{ role: 'user', content: 'Ünï\u0000 \ud83d 🦙 "\\' }], title: 'book.txt' } },
    ],
  ];
  for (const [title, options] of cases) {
    it(`gives back what was written: ${title}`, async () => {
      const { header, pages } = randomSession(options);
      const bytes = await encode(options);
      assert.equal(bytes.length, await kvpFileBytes(header));
      const found = await read(bytes);
      assert.deepEqual(found.header, header);
      assert.deepEqual(
        found.pages,
        pages.map((page, index) => ({ index, ...page })),
      );
      const { numPages } = header;
      assert.deepEqual(found.report, { numPages, numGood: numPages, firstBad: undefined, reason: undefined });
    });
  }

  it('has every payload at a multiple of 64, as it is in memory', async () => {
    const { pages } = randomSession({ numPages: 3 });
    const bytes = Buffer.from(await encode({ numPages: 3 }));
    for (const payload of pages.flatMap(({ sink, sealed }) => (sink ? [sink, sealed] : [sealed]))) {
      const offset = bytes.indexOf(payload);
      assert.ok(offset > 0 && offset % 64 === 0, `payload at ${offset}`);
    }
  });

  it('takes pages from memory that is shared with threads, from an iterator, too', async () => {
    const { header, pages } = randomSession();
    async function* shared(): AsyncGenerator<(typeof pages)[0]> {
      for (const { sealed, sink } of pages) {
        const copy = new Uint8Array(new SharedArrayBuffer(sealed.length));
        copy.set(sealed);
        yield { sealed: copy, sink };
      }
    }
    assert.deepEqual(await collect(encodeKvp(header, shared())), await encode());
  });

  it('is read as far as it is wanted', async () => {
    const bytes = await encode({ numPages: 5 });
    const { pages, report } = await readAll(memorySource(bytes.subarray(0, bytes.length - 1)), 4);
    assert.equal(pages.length, 4);
    assert.deepEqual(report, { numPages: 5, numGood: 4, firstBad: undefined, reason: undefined });
  });

  it('refuses to be written with what could not be read: RangeError', async () => {
    const { header, pages } = randomSession();
    const refused: readonly (readonly [Partial<KvpHeader>, RegExp])[] = [
      [{ identity: 'abc' }, /identity/],
      [{ modelFingerprint: 'md5:1' }, /modelFingerprint/],
      [{ pageSize: Number.NaN }, /pageSize/],
      [{ numSinkTokens: -1 }, /numSinkTokens/],
      [{ layoutVersion: 1.5 }, /layoutVersion/],
      [{ createdAt: 'yesterday' }, /createdAt/],
      [{ sealedPageBytes: 100 }, /100 bytes are no page/],
      [{ sealedPageBytes: 0 }, /0 bytes are no page/],
      [{ sinkPageBytes: 0 }, /0 bytes are no sink page of 2 tokens/],
      [{ numPages: -1 }, /-1 is no number of pages/],
      [{ numPages: Number.NaN }, /NaN is no number of pages/],
      [{ numPages: 4 }, /4 pages hold more than the 15 tokens/],
    ];
    for (const [changes, message] of refused) {
      await assert.rejects(encodeKvpHead({ ...header, ...changes }), { name: 'RangeError', message });
    }
    const contradictions = [
      [pages.slice(1), /page 0 has 128 bytes and a sink page of 0, not 128 and 64/],
      [pages.slice(0, 1), /1 pages, and 2 in the header/],
      [[...pages, pages[1]], /more than the 2 pages/],
      [[pages[0], pages[0]], /page 1 has 128 bytes and a sink page of 64, not 128 and 0/],
    ] as const;
    for (const [given, message] of contradictions) {
      await assert.rejects(collect(encodeKvp(header, given)), { name: 'RangeError', message });
    }
  });
});

describe('a damaged session file is never silently good', () => {
  it('cut short anywhere: refused within the header, else read up to the last whole page', async () => {
    const bytes = await encode();
    const whole = await read(bytes);
    const { headerBytes } = await readKvpHead(memorySource(bytes));
    for (let length = 0; length < bytes.length; length++) {
      const cut = bytes.subarray(0, length);
      if (length < headerBytes) {
        await assert.rejects(read(cut), { code: 'SESSION_INVALID', message: /ends within|no session file/ });
        continue;
      }
      const { report, pages } = await read(cut);
      const numGood = length < headerBytes + 64 + 64 + 128 ? 0 : 1;
      assert.deepEqual(report, { numPages: 2, numGood, firstBad: numGood, reason: 'the file ends before it does' });
      assert.deepEqual(pages, whole.pages.slice(0, numGood));
    }
  });

  it('any one bit flipped: refused in the header, else the page is bad, and those before it good', async () => {
    const bytes = await encode();
    const whole = await read(bytes);
    const { headerBytes } = await readKvpHead(memorySource(bytes));
    const secondAt = headerBytes + 64 + 64 + 128;
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const flipped = Uint8Array.from(bytes);
      const at = bit >> 3;
      flipped[at] ^= 1 << (bit & 7);
      if (at < headerBytes) {
        const isVersion = at >= 8 && at < 12;
        await assert.rejects(read(flipped), { code: isVersion ? 'SESSION_MISMATCH' : 'SESSION_INVALID' }, `bit ${bit}`);
        continue;
      }
      const { report, pages } = await read(flipped);
      const numGood = at < secondAt ? 0 : 1;
      const reason = 'its checksum does not match';
      assert.deepEqual(report, { numPages: 2, numGood, firstBad: numGood, reason }, `bit ${bit}`);
      assert.deepEqual(pages, whole.pages.slice(0, numGood));
    }
  });

  it('pages that were swapped, repeated, or taken from another file of the same shape', async () => {
    const options = { numPages: 4, withSink: false };
    const bytes = await encode(options);
    const { headerBytes } = await readKvpHead(memorySource(bytes));
    const recordBytes = 64 + 128;
    const record = (of: Uint8Array, index: number): Uint8Array =>
      of.slice(headerBytes + index * recordBytes, headerBytes + (index + 1) * recordBytes);
    const swapped = Uint8Array.from(bytes);
    swapped.set(record(bytes, 2), headerBytes + recordBytes);
    swapped.set(record(bytes, 1), headerBytes + 2 * recordBytes);
    const bad = { numPages: 4, numGood: 1, firstBad: 1 };
    assert.deepEqual((await read(swapped)).report, { ...bad, reason: 'page 2 lies in its place' });
    const other = await encode({ ...options, seed: 2 });
    const mixed = Uint8Array.from(bytes);
    mixed.set(record(other, 1), headerBytes + recordBytes);
    assert.deepEqual((await read(mixed)).report, { ...bad, reason: 'it belongs to another file' });
    // The payload alone, under the right number and beside the right checksum of the header.
    const payloads = Uint8Array.from(bytes);
    payloads.set(record(bytes, 2).subarray(64), headerBytes + recordBytes + 64);
    assert.deepEqual((await read(payloads)).report, { ...bad, reason: 'its checksum does not match' });
  });

  it('bytes behind the last page are told', async () => {
    const bytes = await encode();
    const { report, pages } = await read(Uint8Array.of(...bytes, 0));
    const reason = '1 bytes follow its last page';
    assert.deepEqual(report, { numPages: 2, numGood: 2, firstBad: undefined, reason });
    assert.equal(pages.length, 2);
  });

  it('a place on the disk that cannot be read', async () => {
    const bytes = await encode();
    const source = memorySource(bytes);
    const { headerBytes } = await readKvpHead(source);
    const failing: KvpSource = {
      ...source,
      read: (offset, numBytes) =>
        offset > headerBytes ? Promise.reject(new Error('i/o error')) : source.read(offset, numBytes),
    };
    assert.deepEqual((await readAll(failing)).report, { numPages: 2, numGood: 1, firstBad: 1, reason: 'i/o error' });
  });
});

describe('a hostile session file', () => {
  const set = (at: number, value: number) => (_: Uint8Array, view: DataView) => view.setUint32(at, value, true);
  const MOST = 0xffffffff;
  const fields: readonly (readonly [string, (bytes: Uint8Array, view: DataView) => void, RegExp])[] = [
    ['a header longer than the file', set(12, MOST), /contradict each other/],
    ['metadata longer than the file', set(16, MOST), /4294967295 bytes of messages are too many/],
    ['more tokens than a file holds', set(20, MOST), /4294967295 tokens are more than the 16777216/],
    ['tokens beyond the header', set(20, 2 ** 24), /contradict each other/],
    ['more pages than a file holds', set(24, MOST), /4294967295 is no number of pages/],
    ['more pages than tokens', set(24, 4), /4 pages hold more than the 15 tokens/],
    ['pages of no byte', set(28, 0), /0 bytes are no page/],
    ['pages of 4 GB', set(28, 0xffffffc0), /4294967232 bytes are no page/],
    ['pages of odd bytes', set(28, 65), /65 bytes are no page/],
    ['a sink page of odd bytes', set(32, 1), /1 bytes are no sink page/],
    ['a sink page that the format has not', set(32, 0), /0 bytes are no sink page of 2 tokens/],
  ];
  for (const [title, change, message] of fields) {
    it(`is refused: ${title}`, async () => {
      await assert.rejects(read(await forge(change)), { code: 'SESSION_INVALID', message });
    });
  }

  it('allocates nothing by lengths that the file does not have', async () => {
    const reads: number[] = [];
    const spy = (bytes: Uint8Array, sizeBytes: number): KvpSource => ({
      ...memorySource(bytes),
      sizeBytes,
      read: (offset, numBytes) => {
        reads.push(numBytes);
        return memorySource(bytes).read(offset, numBytes);
      },
    });
    const tokens = 2 ** 24;
    const longHeader = await forge((_, view) => {
      view.setUint32(20, tokens, true);
      view.setUint32(12, Math.ceil((96 + 4 * tokens + view.getUint32(16, true)) / 64) * 64, true);
    });
    await assert.rejects(readAll(spy(longHeader, longHeader.length)), { message: /ends within its header/ });
    const longPages = await forge((_, view) => view.setUint32(28, 2 ** 30, true));
    const { report } = await readAll(spy(longPages, longPages.length));
    assert.deepEqual(report, { numPages: 2, numGood: 0, firstBad: 0, reason: 'the file ends before it does' });
    assert.ok(Math.max(...reads) < longPages.length, `read ${Math.max(...reads)} bytes`);
  });

  const metadata: readonly (readonly [string, (text: string) => string, RegExp])[] = [
    ['no JSON', (text) => text.replace('{', '['), /no JSON/],
    ['a negative number of sink tokens', (text) => text.replace('"numSinkTokens":2', '"numSinkTokens":-'), /no JSON/],
    ['a page of 0 tokens', (text) => text.replace('"pageSize":4', '"pageSize":0'), /pageSize/],
    ['a fraction', (text) => text.replace('"layoutVersion":1,', '"layoutVersion":.,'), /no JSON/],
    ['a field that is unknown', (text) => text.replace('kvFormat', 'kvFormas'), /in its header, /],
    ['a number for a text', (text) => text.replace('"kvFormat":"q4"', '"kvFormat":1234'), /kvFormat/],
    ['bytes that are no UTF-8', (text) => text.replace('Random', '\u00ffandom'), /no JSON/],
  ];
  for (const [title, change, message] of metadata) {
    it(`is refused: ${title}`, async () => {
      const bytes = await forge((all, view) => {
        const start = 96 + 4 * view.getUint32(20, true);
        const end = start + view.getUint32(16, true);
        const text = Buffer.from(all.subarray(start, end)).toString('latin1');
        all.set(Buffer.from(change(text), 'latin1'), start);
      });
      await assert.rejects(read(bytes), { code: 'SESSION_INVALID', message });
    });
  }
});

describe('a file that is none, or of another version', () => {
  it('is told so', async () => {
    const empty = { code: 'SESSION_INVALID', message: /^"test.kvp" is no session file of Kvant: it is empty/ };
    await assert.rejects(read(new Uint8Array()), empty);
    const text = new TextEncoder().encode('It was a dark and stormy night.'.repeat(10));
    const other = { code: 'SESSION_INVALID', message: /no session file of Kvant: it does not start as one/ };
    await assert.rejects(read(text), other);
    const newer = await forge((_, view) => view.setUint32(8, 2, true));
    await assert.rejects(read(newer), {
      code: 'SESSION_MISMATCH',
      message:
        '"test.kvp" has version 2 of the session format, and this Kvant reads version 1: use a newer Kvant, or another file',
    });
  });
});
