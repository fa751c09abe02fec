import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { tinyModel } from './support/reference.ts';

/** What `npm publish` would send: built here, listed, and used as a program of somebody else would use it. */

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const TYPESCRIPT = fileURLToPath(import.meta.resolve('typescript/bin/tsc'));
const MAX_BYTES = 5_000_000;

const run = promisify(execFile);

interface Packed {
  readonly size: number;
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string }[];
}

/** A folder in which `kvant` is installed. */
let folder: string;

before(async () => {
  await run(process.execPath, [join(ROOT, 'scripts/build-dist.ts')]);
  folder = await mkdtemp(join(tmpdir(), 'kvant-package-'));
  await mkdir(join(folder, 'node_modules'));
  await symlink(ROOT, join(folder, 'node_modules/kvant'), 'junction');
});

after(() => rm(folder, { recursive: true }));

/** All that a file imports, starts as a worker or reads by its URL, and so on, and the packages that it takes for that. */
async function reach(entry: string): Promise<{ files: string[]; packages: ReadonlySet<string> }> {
  const files = [entry];
  const packages = new Set<string>();
  const patterns = [
    /^(?:import|export) (?:[^;="']* from )?["']([^"']+)["'];$/gm,
    /import\(["']([^"']+)["']\)/g,
    /new URL\(["']([^"']+)["'], import\.meta\.url\)/g,
  ];
  for (const file of files) {
    // Throws for a file that is not there.
    const code = await readFile(file, 'utf8');
    if (!file.endsWith('.js')) continue;
    for (const [, target] of patterns.flatMap((pattern) => [...code.matchAll(pattern)])) {
      const path = join(dirname(file), target);
      if (!target.startsWith('.')) packages.add(target);
      else if (!files.includes(path)) files.push(path);
    }
  }
  return { files, packages };
}

describe('the published package', () => {
  it(`takes less than ${MAX_BYTES / 1e6} MB unpacked, and holds neither models nor tests`, async (t) => {
    const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      cwd: ROOT,
      shell: process.platform === 'win32',
    });
    const [{ size, unpackedSize, files }] = JSON.parse(stdout) as [Packed];
    t.diagnostic(`${files.length} files, ${size} bytes packed, ${unpackedSize} unpacked`);
    assert.ok(unpackedSize < MAX_BYTES, `${unpackedSize} bytes`);
    const paths = files.map(({ path }) => path);
    assert.deepEqual(
      paths.filter((path) => /\.gguf$|\.test\.|\/testing\/|^(src|test|models|tools|shared)\//.test(path)),
      [],
    );
    const kernels = ['kvant-relaxed', 'kvant-relaxed-pairs', 'kvant-simd'].map((name) => `dist/wasm/${name}.wasm`);
    for (const path of [
      ...kernels,
      'dist/kernels/webgpu/shaders/attend.wgsl',
      'dist/web/index.html',
      'dist/index.js',
      'dist/index.d.ts',
      'dist/cli/main.js',
      'LICENSE',
    ]) {
      assert.ok(paths.includes(path), `${path} is missing`);
    }
  });

  it('generates on the wasm kernels when a program imports it', async () => {
    const program = `
      import { load } from 'kvant';
      const model = await load({ model: ${JSON.stringify(tinyModel('llama-d64.Q8_0.gguf'))}, threads: 2 });
      const { tokenIds } = await model.generate({ prompt: 'The ', maxTokens: 5, temperature: 0 }).result;
      console.log(JSON.stringify({ backend: model.info.backend.name, count: tokenIds.length }));
      await model.close();`;
    await writeFile(join(folder, 'program.mjs'), program);
    const { stdout } = await run(process.execPath, ['program.mjs'], { cwd: folder });
    assert.deepEqual(JSON.parse(stdout), { backend: 'wasm', count: 5 });
  });

  it('quantizes tensors, and refuses what is none with the same kind of error', async () => {
    const program = `
      import { dequantize, KvantError, quantize } from 'kvant';
      const quantized = quantize({ data: [0, 1, 2, 3], shape: [2, 2] }, { bits: 2, groupSize: 'tensor' });
      const { data } = dequantize(structuredClone(quantized));
      let code;
      try { quantize({ data: [NaN], shape: [1] }, { bits: 2 }); } catch (error) { if (error instanceof KvantError) code = error.code; }
      console.log(JSON.stringify({ data: [...data], code }));`;
    await writeFile(join(folder, 'quantize.mjs'), program);
    const { stdout } = await run(process.execPath, ['quantize.mjs'], { cwd: folder });
    assert.deepEqual(JSON.parse(stdout), { data: [0, 1, 2, 3], code: 'INVALID_INPUT' });
  });

  it('has an entry for browsers that needs nothing of Node, and every file that it names', async () => {
    const { files, packages } = await reach(join(ROOT, 'dist/browser.js'));
    const names = files.map((file) => relative(join(ROOT, 'dist'), file).replaceAll('\\', '/'));
    assert.deepEqual(
      names.filter((name) => name.includes('-node.')),
      [],
    );
    for (const name of [
      'engine/worker-browser.js',
      'kernels/wasm/kernel-thread-browser.js',
      'kernels/webgpu/shaders/attend.wgsl',
      'wasm/kvant-relaxed.wasm',
      'engine/check-started.js',
    ]) {
      assert.ok(names.includes(name), `${name} is not reached`);
    }
    const libraries = [...packages].map((name) => name.match(/^(@[^/]+\/)?[^/]+/)?.[0]);
    const known = ['@huggingface/gguf', '@huggingface/jinja', '@huggingface/tokenizers', '@noble/hashes'];
    assert.deepEqual([...new Set(libraries)].sort(), [...known, 'ml-matrix', 'pure-rand', 'zod']);
  });

  it('runs as the command kvant', async () => {
    const main = join(folder, 'node_modules/kvant/dist/cli/main.js');
    assert.match(await readFile(main, 'utf8'), /^#!\/usr\/bin\/env node\n/);
    const args = ['--model', tinyModel('llama-d64.Q8_0.gguf'), '--max-tokens', '3', '--raw', '--json', 'The '];
    const { stdout } = await run(process.execPath, [main, 'generate', ...args], { cwd: folder });
    const { completion_tokens: count } = JSON.parse(stdout) as { readonly completion_tokens: number };
    assert.equal(count, 3);
  });

  it('has declarations that a strict TypeScript program compiles against', async () => {
    const program = `
      import { dequantize, load, KvantError, quantize } from 'kvant';
      import { load as loadInPage } from 'kvant/browser';
      import type { ErrorCode, GenerateResult, GroupedTensor, Model, QuantizeOptions, Tensor } from 'kvant';
      export async function answer(): Promise<GenerateResult> {
        const model: Model = await load({ kv: 'k8v4' });
        return model.generate({ prompt: 'x' }).result;
      }
      export const inPage: Promise<Model> = loadInPage({ model: new File([], 'x.gguf'), onDownload: ({ url }) => void url });
      // @ts-expect-error: there are no folders
      void loadInPage({ model: 'x.gguf', swap: 'disk' });
      export const code: ErrorCode = new KvantError('FILE_ERROR', '').code;
      const grouped: GroupedTensor = quantize({ data: [1], shape: [1] }, { bits: 3, granularity: 'group32' });
      export const tensor: Tensor = dequantize(grouped);
      export const options: QuantizeOptions = { bits: 4, granularity: 'tile', kind: 'v' };
      // @ts-expect-error: there are no codes of 7 bits
      quantize(tensor, { bits: 7 });
      // @ts-expect-error: declarations that do not resolve would let this pass
      await load({ kv: 4 });`;
    await writeFile(join(folder, 'program.mts'), program);
    const flags = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2023'];
    await run(process.execPath, [TYPESCRIPT, ...flags, '--lib', 'ES2024,ESNext.Disposable,DOM', 'program.mts'], {
      cwd: folder,
    });
  });
});
