import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { PAGE_UNIT_BYTES } from '../cache/page-layout.ts';
import { MemorySource } from '../model/testing/memory-source.ts';
import { openModelFile } from '../model/model-file.ts';
import type { KvpPage } from '../sessions/kvp-pages.ts';
import { verifyKvp } from '../sessions/kvp-file-node.ts';
import { loadEngine, type EnginePlatform, type LoadedEngine } from './load-engine.ts';
import { loadFromFolder, loadSession } from './load-session.ts';
import { nodePlatform } from './platform-node.ts';
import { saveSession, saveToFolder } from './save-session.ts';
import { letters, loadTinyEngine, NO_EVENTS, request } from './testing/tiny-engine.ts';
import { wallClockMs } from './wall-clock.ts';

/** Fills four pages: in quantized formats 4 + 4 * 64 tokens. */
const TEXT = letters(300);
const NUM_PAGES = 4;

let folder: string;
before(async () => (folder = await mkdtemp(join(tmpdir(), 'kvant-session-'))));
after(() => rm(folder, { recursive: true }));

interface Answer {
  readonly cachedTokens: number;
  /** Of the last prompt position. */
  readonly logProbs: Float32Array;
  readonly tokenIds: readonly number[];
}

async function answer(
  { engine, formats }: LoadedEngine,
  { tokens = TEXT, kv, tenant }: { tokens?: readonly number[]; kv?: string; tenant?: string } = {},
): Promise<Answer> {
  let logProbs = new Float32Array();
  const format = kv === undefined ? undefined : await formats.get(kv);
  const changes = { promptTokens: tokens, maxTokens: 8, logProbsAt: [tokens.length - 1], format, tenant };
  const onLogProbs = (_: number, row: Float32Array): void => void (logProbs = Float32Array.from(row));
  const result = await engine.submit(request(changes), { ...NO_EVENTS, onLogProbs }).result;
  return { cachedTokens: result.cachedTokens, logProbs, tokenIds: result.tokenIds };
}

async function close({ engine, kernels }: LoadedEngine): Promise<void> {
  engine.checkPages();
  await engine.close();
  await kernels.close();
}

/** Runs with engines, which are checked and closed afterwards. */
async function withEngine<T>(
  options: Parameters<typeof loadTinyEngine>[0],
  use: (loaded: LoadedEngine) => Promise<T>,
  platform?: EnginePlatform,
): Promise<T> {
  const loaded = await loadTinyEngine(options, platform);
  const result = await use(loaded);
  await close(loaded);
  return result;
}

/** A file of TEXT, and what an engine without it answers. */
async function savedText(kv: string, name: string): Promise<{ path: string; expected: Answer }> {
  const path = join(folder, name);
  const expected = await withEngine({ kv }, async (loaded) => {
    const first = await answer(loaded);
    await saveSession(loaded, { path, tokens: TEXT });
    return first;
  });
  return { path, expected };
}

function assertSame(actual: Answer, expected: Answer, numCached: number): void {
  assert.equal(actual.cachedTokens, numCached);
  assert.deepEqual(new Uint32Array(actual.logProbs.buffer), new Uint32Array(expected.logProbs.buffer));
  assert.deepEqual(actual.tokenIds, expected.tokenIds);
}

describe('a text that was saved and is loaded in a new engine', () => {
  for (const [backend, kv, numTokens] of [
    ['reference', 'f16', 256],
    ['reference', 'q4', 260],
    ['wasm', 'f16', 256],
    ['wasm', 'q8', 260],
    ['wasm', 'q4', 260],
    ['wasm', 'k3v2', 260],
  ] as const) {
    test(`is a hit, with the same bits as if it were computed: ${kv}, ${backend}`, async () => {
      const path = join(folder, `${backend}-${kv}.kvp`);
      const expected = await withEngine({ kv, backend }, async (loaded) => {
        const first = await answer(loaded);
        const saved = await saveSession(loaded, { path, tokens: TEXT, title: 'letters' });
        assert.deepEqual([saved.numPages, saved.numTokens], [NUM_PAGES, numTokens]);
        assert.equal(saved.numBytes, (await readFile(path)).length);
        return first;
      });
      await withEngine({ kv, backend }, async (loaded) => {
        const restored = await loadSession(loaded, { path });
        assert.deepEqual(restored, {
          ...{ numPages: NUM_PAGES, numPagesInFile: NUM_PAGES, numTokens },
          ...{ tokens: TEXT, kv, title: 'letters' },
        });
        assertSame(await answer(loaded), expected, numTokens);
      });
    });
  }

  test('goes on in the format of the file beside an engine of another one', async () => {
    const { path, expected } = await savedText('q4', 'beside.kvp');
    await withEngine({ kv: 'q8' }, async (loaded) => {
      assert.equal((await loadSession(loaded, { path })).numPages, NUM_PAGES);
      assertSame(await answer(loaded, { kv: 'q4' }), expected, 260);
      assert.equal((await answer(loaded)).cachedTokens, 0, 'pages of another format are no hit');
    });
  });

  test('is there for its tenant alone', async () => {
    const { path, expected } = await savedText('q4', 'tenant.kvp');
    await withEngine({}, async (loaded) => {
      await loadSession(loaded, { path, tenant: 'a' });
      assert.equal((await answer(loaded, { tenant: 'b' })).cachedTokens, 0);
      assertSame(await answer(loaded, { tenant: 'a' }), expected, 260);
    });
  });

  test('counts as restored where its pages are in the cache already', async () => {
    const { path } = await savedText('q4', 'twice.kvp');
    await withEngine({}, async (loaded) => {
      await loadSession(loaded, { path });
      const { numPages } = loaded.memory.pool;
      assert.equal((await loadSession(loaded, { path })).numPages, NUM_PAGES);
      assert.equal(loaded.memory.pool.numPages, numPages);
    });
  });
});

describe('a file that is not what this engine would have computed', () => {
  const refused = async (loaded: LoadedEngine, path: string, message: RegExp, kv?: string): Promise<void> => {
    const options = { path, ...(kv !== undefined && { kv }) };
    await assert.rejects(loadSession(loaded, options), { name: 'KvantError', code: 'SESSION_MISMATCH', message });
    assert.equal(loaded.memory.tree.numPages, 0);
  };

  test('of another model is refused with both names', async () => {
    const { path } = await savedText('q4', 'model.kvp');
    const file = await openModelFile(new MemorySource(await readFile('test/models/tiny/llama-d64.Q8_0.gguf')));
    const options = { kv: 'q4', ctx: 512, threads: 1, backend: 'reference', maxSequences: 1 } as const;
    const other = await loadEngine(file, { ...options, requestedAtMs: wallClockMs() }, nodePlatform);
    await refused(
      other,
      path,
      /is of the model ".*, and ".*" \(sha256:.*is loaded: load its model with option "model"/,
    );
    await close(other);
  });

  test('of another format than the one that is asked for is refused with the fix', async () => {
    const { path } = await savedText('q4', 'format.kvp');
    await withEngine({ kv: 'q8' }, (loaded) =>
      refused(loaded, path, /has a cache in the format "q4", not "q8": set option "kv" to "q4"/, 'q8'),
    );
  });

  test('of another backend or version is refused', async () => {
    const { path } = await savedText('q4', 'version.kvp');
    await withEngine({ backend: 'wasm' }, (loaded) => refused(loaded, path, /differs in identity: .*backend/));
    const bytes = await readFile(path);
    bytes[8]++;
    await writeFile(path, bytes);
    await withEngine({}, (loaded) => refused(loaded, path, /has version 2 of the session format/));
  });

  test('in a format that needs what the model has not is refused', async () => {
    const { path } = await savedText('q4', 'mix.kvp');
    const { header } = await verifyKvp(path);
    await nodePlatform.sessions.save(path, { ...header, kvFormat: 'mix2', numPages: 0 }, []);
    await withEngine({}, (loaded) => refused(loaded, path, /format "mix2", which this model has not: .*calibrat/));
  });
});

describe('a file that is damaged', () => {
  test('is used up to the first bad page, and the rest is computed: the same bits', async () => {
    const { path, expected } = await savedText('q4', 'damaged.kvp');
    const bytes = await readFile(path);
    const { header } = await verifyKvp(path);
    const recordBytes = 64 + header.sealedPageBytes;
    for (const numGood of [0, 1, 3]) {
      const changed = Uint8Array.from(bytes);
      changed[bytes.length - (NUM_PAGES - numGood) * recordBytes + 70 - (numGood === 0 ? header.sinkPageBytes : 0)] ^=
        8;
      await writeFile(path, changed);
      await withEngine({}, async (loaded) => {
        const restored = await loadSession(loaded, { path });
        const numTokens = numGood === 0 ? 0 : 4 + 64 * numGood;
        const { problem = '' } = restored;
        assert.match(
          problem,
          /^page \d of 4 is bad \(its checksum does not match\): only the \d+ tokens before it were/,
        );
        assert.ok(problem.startsWith(`page ${numGood + 1} `) && problem.includes(`the ${numTokens} tokens`), problem);
        assert.deepEqual([restored.numPages, restored.numTokens], [numGood, numTokens]);
        assertSame(await answer(loaded), expected, numTokens);
      });
    }
  });

  test('or cut short is used as far as it goes', async () => {
    const { path, expected } = await savedText('q4', 'short.kvp');
    await truncate(path, (await readFile(path)).length - 100);
    await withEngine({}, async (loaded) => {
      const { numPages, problem } = await loadSession(loaded, { path });
      assert.deepEqual(
        [numPages, problem?.replace(/\(.*\)/, '')],
        [3, 'page 4 of 4 is bad : only the 196 tokens before it were restored'],
      );
      assertSame(await answer(loaded), expected, 196);
    });
  });

  test('in its header is refused', async () => {
    const { path } = await savedText('q4', 'header.kvp');
    const bytes = await readFile(path);
    bytes[100] ^= 1;
    await writeFile(path, bytes);
    await withEngine({}, (loaded) => assert.rejects(loadSession(loaded, { path }), { code: 'SESSION_INVALID' }));
  });
});

describe('saving', () => {
  test('of a text that the cache does not have is an error that says so; of a conversation it is none', async () => {
    const path = join(folder, 'nothing.kvp');
    await withEngine({}, async (loaded) => {
      const refused = (tokens: readonly number[], message: RegExp) =>
        assert.rejects(saveSession(loaded, { path, tokens }), { code: 'INVALID_OPTION', message });
      await refused(TEXT, /^nothing to save: the cache has no page of these 300 tokens; generate from them first/);
      await refused(letters(67), /of these 67 tokens; they fill no page, which takes 68$/);
      const messages = [{ role: 'user', content: 'abc' }] as const;
      assert.deepEqual((await saveSession(loaded, { path, messages })).numPages, 0);
      const restored = await loadSession(loaded, { path });
      assert.deepEqual([restored.messages, restored.numPages, restored.problem], [messages, 0, undefined]);
    });
  });

  test('takes pages of the second tier, too', async () => {
    const path = join(folder, 'swapped.kvp');
    await withEngine({ swap: { kind: 'memory', maxBytes: 1e9 } }, async (loaded) => {
      await answer(loaded);
      while (loaded.memory.evictOne());
      assert.equal(loaded.memory.tree.numPages, 0);
      assert.equal((await saveSession(loaded, { path, tokens: TEXT })).numPages, NUM_PAGES);
    });
    assert.deepEqual((await verifyKvp(path)).report.reason, undefined);
  });

  test('into a folder, from which the longest beginning of another text is restored', async () => {
    const files = join(folder, 'cache');
    const other = [...TEXT.slice(0, 200), ...letters(100, 3)];
    const expected = await withEngine({}, async (loaded) => {
      assert.equal(await loadFromFolder(loaded, { folder: files, tokens: TEXT }), undefined);
      await answer(loaded);
      await saveToFolder(loaded, { folder: files, tokens: TEXT, title: 'letters' });
      return answer(loaded, { tokens: other });
    });
    assert.equal((await readdir(files)).length, 1);
    await withEngine({}, async (loaded) => {
      const restored = await loadFromFolder(loaded, { folder: files, tokens: other });
      const { numPages, numPagesInText, numTokens, title, problem } = restored ?? assert.fail();
      assert.deepEqual([numPages, numPagesInText, numTokens, title, problem], [3, 4, 196, 'letters', undefined]);
      assertSame(await answer(loaded, { tokens: other }), expected, 196);
      assert.equal(await loadFromFolder(loaded, { folder: files, tokens: other, kv: 'q8' }), undefined);
    });
  });
});

/** Engines whose writing of a file waits before each page but the first, until it is told to go on. */
function slowFiles(): { platform: EnginePlatform; isWaiting: Promise<void>; goOn: () => void } {
  const waiting = Promise.withResolvers<void>();
  const going = Promise.withResolvers<void>();
  async function* slowly(pages: AsyncIterable<KvpPage> | Iterable<KvpPage>): AsyncGenerator<KvpPage, void> {
    let index = 0;
    for await (const page of pages) {
      yield page;
      if (index++ > 0) continue;
      waiting.resolve();
      await going.promise;
    }
  }
  const { sessions } = nodePlatform;
  const save: typeof sessions.save = (path, header, pages) => sessions.save(path, header, slowly(pages));
  const platform = { ...nodePlatform, sessions: { ...sessions, save } };
  return { platform, isWaiting: waiting.promise, goOn: () => going.resolve() };
}

/** Bytes of a KV cache that holds so many sealed pages of one sequence. */
async function roomFor(numPages: number): Promise<number> {
  return withEngine({}, async ({ memory }) => {
    const { sealedUnits, openUnits, sinkUnits } = memory.defaultCache.shape;
    return (numPages * sealedUnits + openUnits + sinkUnits) * PAGE_UNIT_BYTES;
  });
}

describe('while a file is written', () => {
  test('requests go on, and its pages are not evicted for them as long as others can be', async () => {
    const { platform, isWaiting, goOn } = slowFiles();
    const path = join(folder, 'held.kvp');
    // TEXT, and three other pages that two more texts have to share.
    const kvMemory = await roomFor(NUM_PAGES + 4);
    await withEngine(
      { kvMemory },
      async (loaded) => {
        const expected = await answer(loaded);
        const saving = saveSession(loaded, { path, tokens: TEXT });
        await isWaiting;
        loaded.engine.checkPages();
        for (const first of [1, 2, 4]) await answer(loaded, { tokens: letters(200, first) });
        loaded.engine.checkPages();
        assertSame(await answer(loaded), expected, 260);
        goOn();
        assert.equal((await saving).numPages, NUM_PAGES);
      },
      platform,
    );
    assert.deepEqual((await verifyKvp(path)).report, {
      numPages: 4,
      numGood: 4,
      firstBad: undefined,
      reason: undefined,
    });
  });

  test('a request that needs all the room gets it, and the file holds the pages that were left: whole, and no other', async () => {
    const { platform, isWaiting, goOn } = slowFiles();
    const path = join(folder, 'revoked.kvp');
    const kvMemory = await roomFor(NUM_PAGES + 1);
    const expected = await withEngine(
      { kvMemory },
      async (loaded) => {
        const first = await answer(loaded);
        const saving = saveSession(loaded, { path, tokens: TEXT });
        await isWaiting;
        const other = await answer(loaded, { tokens: letters(200, 1) });
        assert.equal(other.tokenIds.length, 8);
        loaded.engine.checkPages();
        goOn();
        const saved = await saving;
        assert.ok(saved.numPages > 0 && saved.numPages < NUM_PAGES, `${saved.numPages} pages`);
        assert.equal((await verifyKvp(path)).report.numGood, saved.numPages);
        return first;
      },
      platform,
    );
    await withEngine({}, async (loaded) => {
      const { numTokens } = await loadSession(loaded, { path });
      assertSame(await answer(loaded), expected, numTokens);
    });
  });

  test('and while one is read, steps go on', async () => {
    const { path, expected } = await savedText('q4', 'meanwhile.kvp');
    await withEngine({ maxSequences: 2 }, async (loaded) => {
      const other = answer(loaded, { tokens: letters(400, 5) });
      await nextTurn();
      const restored = await loadSession(loaded, { path });
      assert.equal(restored.numPages, NUM_PAGES);
      assertSame(await answer(loaded), expected, 260);
      await other;
    });
  });
});

describe('where there is no room for all pages of a file', () => {
  test('the first ones are restored, the problem says so, and the request is answered all the same', async () => {
    const { path, expected } = await savedText('q4', 'room.kvp');
    const kvMemory = await roomFor(NUM_PAGES + 1);
    await withEngine({ kvMemory, maxSequences: 2 }, async (loaded) => {
      const { pool } = loaded.memory;
      const { sealedUnits, openUnits } = loaded.memory.defaultCache.shape;
      // Somebody runs on what three pages leave.
      const held = [openUnits, sealedUnits, sealedUnits].map((numUnits) => pool.allocate(numUnits));
      const { numPages, problem } = await loadSession(loaded, { path });
      assert.deepEqual(
        [numPages, problem],
        [3, 'the KV cache has room for 3 of 4 pages; option "kvMemory" makes it larger'],
      );
      for (const page of held) pool.release(page);
      assertSame(await answer(loaded), expected, 4 + 64 * numPages);
    });
  });

  test('neither is a tenant given more than its quota', async () => {
    const { path, expected } = await savedText('q4', 'quota.kvp');
    const kvMemory = await roomFor(20);
    const tenantQuota = await roomFor(5);
    await withEngine({ kvMemory, tenantQuota }, async (loaded) => {
      const { memory } = loaded;
      const { numPages, problem } = await loadSession(loaded, { path });
      assert.deepEqual([numPages, problem], [NUM_PAGES, undefined]);
      const others = { path: join(folder, 'quota-2.kvp'), tokens: letters(300, 9), tenant: 'b' };
      await answer(loaded, others);
      await saveSession(loaded, others);
      await loadSession(loaded, { path: others.path });
      const numUnits = memory.tree.unitsOfTenant('default');
      assert.ok(numUnits * PAGE_UNIT_BYTES <= tenantQuota, `${numUnits} units`);
      const again = await answer(loaded);
      assertSame(again, expected, again.cachedTokens);
      assert.ok(again.cachedTokens > 0);
    });
  });
});
