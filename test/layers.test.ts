import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';

/** The lint configuration refuses imports against the layers' arrows. Only the text counts: these files need not exist. */

const ROOT = fileURLToPath(new URL('..', import.meta.url));

const eslint = new ESLint({
  cwd: ROOT,
  overrideConfig: { ...tseslint.configs.disableTypeChecked } as NonNullable<ESLint.Options['overrideConfig']>,
});

async function complaints(file: string, code: string): Promise<string[]> {
  const [{ messages }] = await eslint.lintText(`${code}\n`, { filePath: file });
  return messages.map(({ ruleId, message }) => `${ruleId}: ${message}`);
}

const REFUSED = [
  ['src/tokens/x.ts', "import { x } from '../engine/x.ts';"],
  ['src/quant/x.ts', "import { x } from '../cache/x.ts';"],
  ['src/cache/x.ts', "import type { X } from '../kernels/kernels.ts';"],
  ['src/kernels/x.ts', "export { x } from '../model/x.ts';"],
  ['src/kernels/wasm/x.ts', "import { x } from '../../engine/x.ts';"],
  ['src/kernels/wasm/x-node.ts', "import { x } from '../../engine/x.ts';"],
  ['src/model/x.ts', "import { x } from '../tokens/x.ts';"],
  ['src/calibration/x.ts', "import { x } from '../engine/x.ts';"],
  ['src/model/x.ts', "import { x } from '../calibration/x.ts';"],
  ['src/engine/x.ts', "import { x } from '../cli/x.ts';"],
  ['src/engine/x.ts', "import { x } from '../a-new-folder/x.ts';"],
  ['src/engine/x.ts', "import { x } from '../index.ts';"],
  ['src/sessions/x.ts', "import { x } from '../engine/x.ts';"],
  ['src/cache/x.ts', "import { x } from '../sessions/x.ts';"],
  ['src/bench/x.ts', "import { x } from '../cli/x.ts';"],
  ['src/bench/x-node.ts', "import { x } from '../tokens/x.ts';"],
  ['src/engine/x.ts', "import { x } from '../bench/x.ts';"],
  ['src/engine/x.ts', "import { x } from '../eval/x.ts';"],
  ['src/eval/x.ts', "import { x } from '../bench/x.ts';"],
  ['src/cli/x.ts', "import { x } from '../kernels/kernels.ts';"],
  ['src/server/x.ts', "import { x } from '../cli/x.ts';"],
  ['src/engine/x.ts', "import { x } from '../server/x.ts';"],
  ['src/eval/x.ts', "import { x } from '../cli/x.ts';"],
  ['src/quant/x.test.ts', "import { x } from '../engine/x.ts';"],
  ['src/quant/x.ts', "import { x } from '../../test/support/x.ts';"],
  ['web/src/x.ts', "import { x } from '../../src/index.ts';"],
] as const;

const ALLOWED = [
  ['src/tokens/x.ts', "import { x } from '../errors.ts';"],
  ['src/kernels/wasm/x.ts', "import { x } from '../kernels.ts';"],
  ['src/kernels/wasm/x.ts', "import { x } from '../../cache/x.ts';"],
  ['src/engine/x.ts', "import { x } from '../model/x.ts';"],
  ['src/engine/x-node.ts', "import { x } from 'node:os';"],
  ['src/cli/x.ts', "import { x } from '../engine/x.ts';\nimport { y } from 'node:fs';"],
  ['src/cli/x.ts', "import { x } from '../bench/x.ts';"],
  ['src/cli/x.ts', "import { x } from '../server/x.ts';"],
  ['src/server/x-node.ts', "import { x } from '../engine/x.ts';\nimport { y } from 'node:http';"],
  ['src/cli/x.ts', "import { x } from '../eval/x.ts';"],
  ['src/sessions/x.ts', "import type { X } from '../cache/x.ts';"],
  ['src/engine/x.ts', "import { x } from '../sessions/x.ts';"],
  ['src/cli/x.ts', "import { x } from '../sessions/x.ts';"],
  ['src/eval/x.ts', "import { x } from '../cache/x.ts';"],
  ['src/cli/x.ts', "import { x } from '../index.ts';"],
  ['src/quant/x.test.ts', "import { x } from '../../test/support/x.ts';\nimport { y } from 'node:test';"],
  ['src/kernels/wasm/x.test.ts', "import { x } from '../../../test/support/x.ts';"],
  ['src/kernels/testing/x.ts', "import { x } from 'node:assert/strict';"],
] as const;

describe('the layers', () => {
  for (const [file, code] of REFUSED) {
    it(`${file} must not: ${code}`, async () => {
      const found = await complaints(file, code);
      const folder = file.startsWith('web/') ? 'web' : file.split('/')[1];
      assert.ok(
        found.some((text) => text.includes('no-restricted-imports') && text.includes(`${folder}/ may import from`)),
      );
    });
  }

  for (const [file, code] of ALLOWED) {
    it(`${file} may: ${code.replace('\n', ' ')}`, async () => {
      const found = await complaints(file, code);
      assert.deepEqual(
        found.filter((text) => text.includes('no-restricted')),
        [],
      );
    });
  }

  it('every folder of src/ has a row in the table', async () => {
    for (const entry of await readdir(join(ROOT, 'src'), { withFileTypes: true })) {
      if (!entry.isDirectory()) continue;
      const found = await complaints(`src/${entry.name}/x.ts`, "import { x } from '../no-such-layer/x.ts';");
      assert.ok(
        found.some((text) => text.includes(`${entry.name}/ may import from`)),
        `src/${entry.name}/ has no row in LAYERS of eslint.config.js`,
      );
    }
  });

  it('only entry files may use the modules and globals of Node', async () => {
    for (const layer of [
      'tokens',
      'quant',
      'cache',
      'kernels',
      'model',
      'calibration',
      'sessions',
      'engine',
      'bench',
      'server',
      'eval',
    ]) {
      const [module] = await complaints(`src/${layer}/x.ts`, "import 'node:fs';");
      assert.match(
        module,
        /no-restricted-imports: .* Only entry files \(src\/cli, \*-node\.ts\) may use the modules of Node/,
      );
      const [global] = await complaints(`src/${layer}/x.ts`, 'process.exit();');
      assert.match(global, /no-restricted-globals: Unexpected use of 'process'/);
    }
    assert.deepEqual(await complaints('src/engine/x-node.ts', "import 'node:fs';\nprocess.exit();"), []);
  });

  it('what is for browsers and what is for Node keep apart', async () => {
    const refused = async (file: string, code: string, words: RegExp): Promise<void> => {
      const [message = 'nothing is refused'] = await complaints(file, code);
      assert.match(message, words);
    };
    await refused('src/engine/x.ts', "import './y-node.ts';", /Only entry files .* may import those of Node/);
    await refused('src/engine/x.ts', "import './y-browser.ts';", /Only \*-browser\.ts may import what is for browsers/);
    await refused('src/engine/x.ts', 'self.close();', /Only \*-browser\.ts may use the globals of a browser/);
    await refused('src/engine/x-node.ts', "import './y-browser.ts';", /Only \*-browser\.ts may import/);
    await refused('src/engine/x-browser.ts', "import './y-node.ts';", /may import those of Node/);
    await refused('src/engine/x-browser.ts', 'process.exit();', /may use the modules of Node/);
    await refused('src/browser.ts', "import './engine/y-node.ts';", /may import those of Node/);
    const browser = "import './y-browser.ts';\nnavigator.gpu;";
    const found = await complaints('src/engine/x-browser.ts', browser);
    assert.deepEqual(
      found.filter((text) => text.includes('no-restricted')),
      [],
    );
  });
});
