import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KvantError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import { WEIGHT_TYPES } from '../kernels/weight-types.ts';
import { uniformStream } from '../../test/random-data.ts';
import { writeGguf } from '../../test/support/gguf-writer.ts';
import type { GgufSpec, GgufTensorSpec } from '../../test/support/gguf-writer.ts';
import type { ByteSource } from './byte-source.ts';
import { GgufFile } from './gguf-file.ts';
import { headerBytesOf } from './testing/damage.ts';
import { MemorySource } from './testing/memory-source.ts';
import { tinyLlama } from './testing/tiny-llama.ts';

async function rejects(bytes: Uint8Array, code: ErrorCode, message: RegExp): Promise<void> {
  const source = new MemorySource(bytes);
  await assert.rejects(GgufFile.open(source), (error) => {
    assert.ok(error instanceof KvantError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  });
  assert.ok(source.closed, 'the file is closed after an error');
}

function oneTensor(tensor: Partial<GgufTensorSpec>, rest: Partial<GgufSpec> = {}): Uint8Array {
  return writeGguf({ metadata: [], tensors: [{ name: 'w', type: 'F32', shape: [32], ...tensor }], ...rest });
}

/** Overwrites bytes of a file. */
function patched(bytes: Uint8Array, offset: number, values: readonly number[]): Uint8Array {
  const copy = bytes.slice();
  copy.set(values, offset);
  return copy;
}

describe('GgufFile', () => {
  it('gives metadata of every kind', async () => {
    const metadata: GgufSpec['metadata'] = [
      ['text', 'né 😀'],
      ['flag', true],
      ['count', 7],
      ['big', 2n ** 60n],
      ['fraction', 0.5],
      ['list', ['a', '', 'b']],
      ['empty', []],
      ['nested', [[1, 2], [3]]],
      ['constructor', 'a key like another'],
    ];
    const file = await GgufFile.open(new MemorySource(writeGguf({ metadata, tensors: [] })));
    assert.deepEqual({ ...file.metadata }, Object.fromEntries(metadata));
    assert.equal(file.metadata['toString'], undefined);
    assert.equal(file.tensors.size, 0);
  });

  it('reads tensors of every type, shape and place, also into shared memory', async () => {
    const uniform = uniformStream(1);
    const types = Object.entries(WEIGHT_TYPES);
    const tensors = types.map(([type, { blockElements, blockBytes }], index) => {
      const shape = index % 2 === 0 ? [2 * blockElements, 3] : [6 * blockElements];
      const bytes = Uint8Array.from({ length: 6 * blockBytes }, () => 256 * uniform());
      return { name: `t.${type}`, type: type as keyof typeof WEIGHT_TYPES, shape, bytes };
    });
    const source = new MemorySource(writeGguf({ metadata: [['general.alignment', 64]], tensors, alignmentBytes: 64 }));
    const file = await GgufFile.open(source);
    assert.deepEqual(
      [...file.tensors.keys()],
      tensors.map(({ name }) => name),
    );
    for (const { name, type, shape, bytes } of tensors) {
      const tensor = file.tensorSource(name);
      assert.deepEqual([tensor.type, tensor.numCols, tensor.numRows], [type, shape[0], shape[1] ?? 1]);
      const shared = new Uint8Array(new SharedArrayBuffer(bytes.length + 8), 8);
      await tensor.read(shared, 0);
      assert.deepEqual(shared.slice(), bytes.slice(), name);
      const tail = new Uint8Array(5);
      await tensor.read(tail, bytes.length - 5);
      assert.deepEqual(tail, bytes.slice(-5));
      await assert.rejects(tensor.read(new Uint8Array(6), bytes.length - 5), /RangeError: bytes .* of tensor t\./);
    }
    assert.throws(() => file.tensorSource('nothing'), RangeError);
    await file.close();
    assert.ok(source.closed);
  });

  it('reads GGUF version 2, a last tensor without padding, and dimensions of 1 at the end', async () => {
    const bytes = oneTensor({ shape: [33, 1, 1] }, { version: 2 });
    const file = await GgufFile.open(new MemorySource(bytes.subarray(0, bytes.length - 28)));
    assert.deepEqual(file.tensors.get('w')?.shape, [33]);
    assert.equal(file.tensors.get('w')?.numBytes, 132);
  });

  it('refuses what is not GGUF, and says what it is', async () => {
    await rejects(new Uint8Array(0), 'MODEL_NOT_GGUF', /^"test.gguf" is not a GGUF file: it is empty/);
    const html = new TextEncoder().encode('<!DOCTYPE html><html></html>');
    await rejects(html, 'MODEL_NOT_GGUF', /starts with "<!DO", not with "GGUF"/);
    const pointer = new TextEncoder().encode('version https://git-lfs.github.com/spec/v1\noid sha256:0');
    await rejects(pointer, 'MODEL_NOT_GGUF', /Git LFS pointer.*run "git lfs pull"/);
  });

  it('refuses other versions and byte orders', async () => {
    await rejects(oneTensor({}, { version: 1 }), 'MODEL_UNSUPPORTED', /GGUF version 1, Kvant reads versions 2 and 3/);
    await rejects(oneTensor({}, { version: 4 }), 'MODEL_UNSUPPORTED', /GGUF version 4/);
    await rejects(oneTensor({}, { version: 3 << 24 }), 'MODEL_UNSUPPORTED', /big-endian.*gguf_convert_endian/);
  });

  it('refuses one part of a split model', async () => {
    const bytes = writeGguf({ metadata: [['split.count', 3]], tensors: [] });
    await rejects(bytes, 'MODEL_UNSUPPORTED', /one of 3 parts of a split model.*llama-gguf-split --merge/);
    await GgufFile.open(new MemorySource(writeGguf({ metadata: [['split.count', 1]], tensors: [] })));
  });

  it('refuses tensor types that it does not read, by name', async () => {
    await rejects(
      oneTensor({ type: 16 }),
      'MODEL_UNSUPPORTED',
      /tensor "w" of "test.gguf" has the type IQ2_XXS.*F32, F16, .*Q6_K/,
    );
    await rejects(oneTensor({ type: 9999 }), 'MODEL_UNSUPPORTED', /has the type number 9999/);
  });

  it('refuses impossible shapes', async () => {
    await rejects(
      oneTensor({ type: 'Q4_K', shape: [128, 2] }),
      'MODEL_INVALID',
      /rows of 128 weights, but Q4_K packs 256/,
    );
    await rejects(oneTensor({ shape: [] }), 'MODEL_INVALID', /tensor "w" .* impossible shape \[\]/);
    await rejects(oneTensor({ shape: [0, 4] }), 'MODEL_INVALID', /impossible shape \[0, 4\]/);
    await rejects(oneTensor({ shape: [1, 1, 1, 1, 1] }), 'MODEL_INVALID', /impossible shape \[1, 1, 1, 1, 1\]/);
    await rejects(oneTensor({ shape: [2 ** 30, 2 ** 30] }), 'MODEL_INVALID', /impossible shape/);
    await rejects(
      oneTensor({ shape: [2n ** 40n] }),
      'MODEL_INVALID',
      /the header of "test.gguf" is damaged .*dimension/,
    );
  });

  it('refuses tensors that overlap, leave gaps, are misaligned, or are there twice', async () => {
    const a: GgufTensorSpec = { name: 'a', type: 'F32', shape: [32] };
    for (const offsetBytes of [0, 64, 130, 256, 2n ** 63n]) {
      const bytes = writeGguf({ metadata: [], tensors: [a, { ...a, name: 'b', offsetBytes }] });
      await rejects(
        bytes,
        'MODEL_INVALID',
        /tensor "b" .* starts at byte \d+, expected \d+, right after the tensor before it/,
      );
    }
    await rejects(writeGguf({ metadata: [], tensors: [a, a] }), 'MODEL_INVALID', /tensor "a" .* is there twice/);
  });

  it('refuses metadata that are there twice and alignments that are no power of two', async () => {
    const twice = writeGguf({
      metadata: [
        ['x', 1],
        ['x', 2],
      ],
      tensors: [],
    });
    await rejects(twice, 'MODEL_INVALID', /has a metadata key twice/);
    for (const alignment of [24, 2 ** 20, 'wide', 0.5]) {
      const bytes = writeGguf({ metadata: [['general.alignment', alignment]], tensors: [] });
      await rejects(bytes, 'MODEL_INVALID', /general.alignment/);
    }
  });

  it('refuses counts that no file has, at once', async () => {
    const bytes = oneTensor({});
    const huge = [0, 0, 0, 0, 0, 0, 0, 1];
    await rejects(patched(bytes, 8, huge), 'MODEL_INVALID', /claims 72057594037927936 tensors and 0 metadata keys/);
    await rejects(patched(bytes, 16, huge), 'MODEL_INVALID', /claims 1 tensors and 72057594037927936 metadata keys/);
    await rejects(patched(bytes, 8, [80]), 'MODEL_TRUNCATED', /its header alone needs at least 1,944 bytes/);
  });

  it('says what a damaged header is damaged by', async () => {
    const withKey = writeGguf({ metadata: [['key', 'value']], tensors: [] });
    const typeOffset = 24 + 8 + 3;
    await rejects(patched(withKey, typeOffset, [77]), 'MODEL_INVALID', /is damaged \(Unsupported metadata type: 77\)/);
    const longString = patched(withKey, typeOffset + 4 + 4, [1]);
    await rejects(longString, 'MODEL_INVALID', /is damaged \(String length .* exceeds/);
  });

  it('says how many bytes a truncated file should have', async () => {
    const bytes = oneTensor({ shape: [1000] });
    const cut = bytes.subarray(0, 1000);
    await rejects(cut, 'MODEL_TRUNCATED', /the file has 1,000 bytes, its tensors need 4,064 bytes. Download it again/);
  });

  it('finds a header that is cut at any byte', async () => {
    const bytes = writeGguf(tinyLlama());
    const headerBytes = await headerBytesOf(bytes);
    for (let length = 4; length < headerBytes; length += 7) {
      await rejects(
        bytes.subarray(0, length),
        'MODEL_TRUNCATED',
        /"test.gguf" is cut short: the file has [\d,]+ bytes, its /,
      );
    }
  });

  it('keeps byte order marks at the start of a text, and texts that lie across the bounds of a read', async () => {
    // The parser reads 2,000,000 bytes at a time, and what goes before it 2,097,152 and then more: `texts` and `long` lie across.
    const texts = ['\ufeff', 'a', '\ufeffb', '\ufeff\ufeff', 'x'.repeat(1_999_800), `é${'y'.repeat(199)}`];
    const metadata: GgufSpec['metadata'] = [
      ['texts', texts],
      ['nested', [['\ufeff'], ['c']]],
      ['long', 'z'.repeat(3_000_000)],
      ['after', 1],
    ];
    const file = await GgufFile.open(new MemorySource(writeGguf({ metadata, tensors: [] })));
    assert.deepEqual(Object.keys(file.metadata), ['texts', 'nested', 'long', 'after']);
    for (const [key, value] of metadata) assert.deepEqual(file.metadata[key], value, `${key} is changed`);
  });

  it('decodes each text of a long list by itself, also where bytes are no UTF-8', async () => {
    const texts = ['', 'a', 'é', '\u20ac', '😀', '\ufeff', '\u0120the', 'x'.repeat(40), '\u0000', 'ab', 'cd', '\uffff'];
    const list = Array.from({ length: 40 }, (_, i) => texts[i % texts.length]);
    const bytes = writeGguf({ metadata: [['list', list]], tensors: [] });
    const whole = await GgufFile.open(new MemorySource(bytes));
    assert.deepEqual(whole.metadata['list'], list);
    // Halves of a character, in the texts 'ab' and 'cd' that follow each other: together they would make one.
    const at = Buffer.from(bytes).indexOf('ab');
    const split = patched(patched(bytes, at + 1, [0xc3]), at + 2 + 8, [0xa9]);
    const damaged = await GgufFile.open(new MemorySource(split));
    assert.deepEqual(damaged.metadata['list'], list.with(9, 'a\ufffd').with(10, '\ufffdd'));
    // An overlong form, which only a decoder finds.
    const overlong = await GgufFile.open(new MemorySource(patched(bytes, at, [0xc0, 0x80])));
    assert.deepEqual(overlong.metadata['list'], list.with(9, '\ufffd\ufffd'));
  });

  it('does not read a large file whole where its header makes no sense', async () => {
    const header = writeGguf({ metadata: [['key', 'value']], tensors: [] });
    const TEXT_LENGTH_OFFSET = 24 + 8 + 3 + 4;
    const source = new MemorySource(patched(header, TEXT_LENGTH_OFFSET, [0, 0, 0, 0, 1, 0]));
    let mostBytes = 0;
    const large: ByteSource = {
      name: source.name,
      sizeBytes: 2 ** 40,
      read: async (into, offsetBytes) => {
        mostBytes = Math.max(mostBytes, into.length);
        const numBytes = Math.max(0, Math.min(into.length, source.sizeBytes - offsetBytes));
        if (numBytes > 0) await source.read(into.subarray(0, numBytes), offsetBytes);
      },
      close: () => source.close(),
    };
    await assert.rejects(GgufFile.open(large), { code: 'MODEL_INVALID', message: /String length 4294967296 exceeds/ });
    assert.ok(mostBytes <= 2 ** 27, `${mostBytes} bytes were read at once`);
    assert.ok(source.closed);
  });

  it('reads a header of many megabytes, and finds it cut', async () => {
    const tokens = Array.from({ length: 60_000 }, (_, id) => `token ${id} `.repeat(4));
    const bytes = writeGguf({ metadata: [['tokens', tokens]], tensors: [{ name: 'w', type: 'F32', shape: [32] }] });
    const file = await GgufFile.open(new MemorySource(bytes));
    assert.deepEqual(file.metadata['tokens'], tokens);
    await rejects(bytes.subarray(0, 2_500_001), 'MODEL_TRUNCATED', /is cut short/);
  });
});
