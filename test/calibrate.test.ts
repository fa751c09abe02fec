import assert from 'node:assert/strict';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { calibrate } from '../src/calibrate/calibrate.ts';
import { formatCalibration, parseCalibration } from '../src/calibration/calibration-file.ts';
import { load } from '../src/engine/load-node.ts';
import { nodePlatform } from '../src/engine/platform-node.ts';
import { KvantError } from '../src/errors.ts';
import { compareFormats } from '../src/eval/compare-formats.ts';
import { evalSetup } from '../src/eval/setup-node.ts';
import { openModel } from '../src/model/open-model-node.ts';

const MODEL = fileURLToPath(new URL('models/tiny/llama-d96.Q4_0.gguf', import.meta.url));
const OTHER_MODEL = fileURLToPath(new URL('models/tiny/llama-d64.Q8_0.gguf', import.meta.url));
const TOKENS = new URL('reference/tiny/llama-d96/tokens.u16', import.meta.url);

/** Tokens that are learnt from, and as many after them that are measured on. */
const NUM_TOKENS = 512;

async function readTokens(): Promise<number[]> {
  const bytes = await readFile(TOKENS);
  return Array.from({ length: bytes.length / 2 }, (_, i) => bytes.readUInt16LE(2 * i));
}

describe('a calibration learnt from 512 tokens, of a model with heads of 96 and channels of K ten times as large', () => {
  let folder: string;
  let model: string;
  let text: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kvant-calibrate-'));
    model = join(folder, 'model.gguf');
    await copyFile(MODEL, model);
    const learnt = await calibrate({
      ...{ modelPath: model, backend: 'wasm', threads: 2, openModel, platform: nodePlatform, source: 'a test' },
      tokens: (await readTokens()).slice(0, NUM_TOKENS),
      windowTokens: 256,
      numWindows: 8,
      withUpgrades: true,
      onProgress: () => undefined,
      signal: new AbortController().signal,
    });
    text = formatCalibration(learnt);
    await writeFile(join(folder, 'model.kvant.json'), text);
  });
  after(async () => rm(folder, { recursive: true, force: true }));

  test('is found beside the model, named in its info, and left alone by finer formats and by calibration: none', async () => {
    const sources: (string | undefined)[] = [];
    for (const options of [{ kv: 'q4' }, { kv: 'mix3' }, { kv: 'q8' }, { kv: 'q4', calibration: 'none' }]) {
      const loaded = await load({ model, ctx: 256, threads: 1, ...options });
      assert.equal(loaded.info.kvFormat, options.kv);
      sources.push(loaded.info.calibration);
      await loaded.close();
    }
    assert.deepEqual(sources, ['a test', 'a test', undefined, undefined]);
  });

  test('lowers what q4, q3 and q2 lose on text that it has not seen, and a mix of 3.4 bits loses less than q3', async () => {
    const window = (await readTokens()).slice(NUM_TOKENS, 2 * NUM_TOKENS);
    const lossesWith = async (kv: readonly string[], calibration?: string): Promise<Map<string, number>> => {
      const losses = new Map<string, number>();
      const setup = await evalSetup(
        { model, ctx: NUM_TOKENS, threads: 2, ...(calibration !== undefined && { calibration }) },
        'f32',
        new AbortController().signal,
      );
      await compareFormats(kv, [window], setup, {
        onProgress: () => undefined,
        onLoaded: async () => undefined,
        onResult: async (result) => void losses.set(result.kv, result.kld.mean),
      });
      return losses;
    };
    const plain = await lossesWith(['q4', 'q3', 'q2'], 'none');
    const learnt = await lossesWith(['q4', 'q3', 'q2', 'mix3.4']);
    for (const [kv, loss] of plain)
      assert.ok((learnt.get(kv) ?? Infinity) < loss, `${kv}: ${learnt.get(kv)}, not ${loss}`);
    assert.ok((learnt.get('mix3.4') ?? Infinity) < (learnt.get('q3') ?? 0));
  });

  test('is refused with another model, and when it is not there', async () => {
    const path = join(folder, 'model.kvant.json');
    await assert.rejects(
      load({ model: OTHER_MODEL, kv: 'q4', calibration: path }),
      (error) => error instanceof KvantError && error.code === 'CALIBRATION_MISMATCH',
    );
    await assert.rejects(
      load({ model, kv: 'q4', calibration: `${path}x` }),
      (error) => error instanceof KvantError && error.code === 'FILE_ERROR' && /no such file/.test(error.message),
    );
    await assert.rejects(
      load({ model: OTHER_MODEL, kv: 'mix3' }),
      (error) =>
        error instanceof KvantError && error.code === 'INVALID_OPTION' && /needs a calibration/.test(error.message),
    );
  });

  test('names six upgrades for each layer and kind', () => {
    const { upgrades, shape } = parseCalibration('model.kvant.json', text);
    assert.equal(upgrades.length, 12 * shape.numLayers);
  });
});
