import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkFits, DocumentError, MAX_DOCUMENT_BYTES, readText } from './chat-document.ts';

describe('readText', () => {
  it('reads UTF-8', async () => {
    assert.equal(await readText(new File(['Grüße 👋'], 'a.txt')), 'Grüße 👋');
  });

  it('refuses what is no text, what is empty, and what is too large, and says what to do', async () => {
    const refuse = (content: BlobPart, message: RegExp) =>
      assert.rejects(readText(new File([content], 'a.bin')), (error) => {
        assert.ok(error instanceof DocumentError);
        assert.match(error.message, message);
        return true;
      });
    await refuse(new Uint8Array([0xff, 0xfe, 0x41]), /a\.bin is no text in UTF-8\. Drop in plain text/);
    await refuse('a\0b', /no text in UTF-8/);
    await refuse(' \n', /a\.bin is empty/);
    await refuse(new Uint8Array(MAX_DOCUMENT_BYTES + 1), /has 2\.0 MB; at most 2\.0 MB are read\. Split it/);
  });
});

describe('checkFits', () => {
  it('leaves room for an answer', () => {
    checkFits('a.txt', 8192 - 256, 8192);
    assert.throws(
      () => checkFits('a.txt', 8192 - 255, 8192),
      /a\.txt has 7,937 tokens; the context holds 8,192.*larger --ctx/,
    );
  });
});
