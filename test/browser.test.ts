import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import type { BrowserLoadOptions } from '../src/browser.ts';
import { tinyGguf } from '../src/engine/testing/tiny-engine.ts';
import { load, type BackendDescription } from '../src/index.ts';
import type { KernelTestPage } from './browser/kernel-tests.ts';
import type { LibraryPage } from './browser/page.ts';
import { TestSite } from './browser/site.ts';
import { launchChromium, SKIP_CHROMIUM } from './support/chromium.ts';

/** The library in headless Chromium, bundled by Vite, with a GPU that is computed. */

/**
 * Tests of the webgpu backend that run in the page, too: together they compile every shader, and most take seconds to compile. All of them run in
 * Node, on the same kind of GPU.
 */
const KERNEL_TESTS = [
  /^q4, 4 heads of 80 .*: attention equals the reference/,
  /^norm, products and SwiGLU that one dispatch does/,
  /^F32: products equal the reference/,
  /^Q6_K: products with float32 activations equal the reference/,
  /^q4, heads of 64: sealed pages/,
  /^a GPU that is computed is refused/,
  /^what the device cannot take in one piece/,
  /^only rows of readable activations come back/,
];

/** With norms of heads, which llama has not. */
const MODEL = tinyGguf('qwen3');
/** Seals a page, and begins another. */
const PROMPT = 'thequickbrownfoxjumpsoverthelazydogandrunsawayfromitasitdoes.'.repeat(2);
const MAX_TOKENS = 16;

type PlainOptions = Pick<BrowserLoadOptions, 'backend' | 'threads'>;

interface PageAnswer {
  readonly backend: BackendDescription;
  readonly tokenIds: readonly number[];
}

interface PageError {
  readonly code: string;
  readonly message: string;
}

let site: TestSite;
let browser: Browser;
/** What Node answers, on float64. */
let expected: readonly number[];

before(async () => {
  if (SKIP_CHROMIUM !== false) return;
  site = await TestSite.start({
    '/tiny.gguf': MODEL,
    '/short.gguf': MODEL.subarray(0, MODEL.length - 100),
    '/text.gguf': '<!doctype html><title>Not found</title>',
    '/cut.gguf': (response) => {
      response.writeHead(200, { 'content-length': MODEL.length });
      response.write(MODEL.subarray(0, 20_000), () => response.destroy());
    },
  });
  browser = await launchChromium();
  expected = await answerOfNode();
});

after(async () => {
  await browser?.close();
  await site?.close();
});

async function answerOfNode(): Promise<readonly number[]> {
  const folder = await mkdtemp(join(tmpdir(), 'kvant-'));
  try {
    const model = join(folder, 'tiny.gguf');
    await writeFile(model, MODEL);
    await using loaded = await load({ model, backend: 'reference', ctx: 400 });
    const generation = loaded.generate({ prompt: PROMPT, maxTokens: MAX_TOKENS, ignoreEnd: true });
    return (await generation.result).tokenIds;
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function withPage<T>(path: string, run: (page: Page) => Promise<T>): Promise<T> {
  const page = await browser.newPage();
  try {
    await page.goto(`${site.origin}${path}`);
    await page.waitForFunction(() => 'kvant' in globalThis || 'kernelTests' in globalThis);
    return await run(page);
  } finally {
    await page.close();
  }
}

/** Loads tiny.gguf in a page and lets it answer. */
function answerOfPage(path: string, options: PlainOptions): Promise<PageAnswer> {
  const request = { options, generation: { prompt: PROMPT, maxTokens: MAX_TOKENS, ignoreEnd: true } };
  return withPage(path, (page) =>
    page.evaluate(async ({ options: given, generation }) => {
      const { kvant } = globalThis as unknown as LibraryPage;
      const model = await kvant.load({ model: 'tiny.gguf', ctx: 400, ...given });
      const { tokenIds } = await model.generate(generation).result;
      await model.close();
      return { backend: model.info.backend, tokenIds };
    }, request),
  );
}

/** What a page's `load` throws. */
function errorOfPage(page: Page, options: object): Promise<PageError> {
  return page.evaluate(async (given) => {
    const { kvant } = globalThis as unknown as LibraryPage;
    const error: unknown = await kvant.load(given as BrowserLoadOptions).then(
      () => undefined,
      (cause: unknown) => cause,
    );
    const { code, message } = error as PageError;
    return { code, message };
  }, options);
}

describe('a browser', { skip: SKIP_CHROMIUM }, () => {
  it('computes what the reference computes, shader by shader', async (t) => {
    await withPage('/kernel-tests', async (page) => {
      const titles = await page.evaluate(() => (globalThis as unknown as KernelTestPage).kernelTests.titles());
      for (const pattern of KERNEL_TESTS) {
        const wanted = titles.filter((title) => pattern.test(title));
        assert.equal(wanted.length, 1, `tests of the name ${String(pattern)}`);
        const [{ title, error, skipped, ms }] = await page.evaluate(
          (names) => (globalThis as unknown as KernelTestPage).kernelTests.runTests(names),
          wanted,
        );
        t.diagnostic(`${title}: ${Math.round(ms)} ms`);
        assert.equal(error, undefined, title);
        assert.equal(skipped, undefined, title);
      }
    });
  });

  it('generates on the GPU what Node generates on float64', async () => {
    const { backend, tokenIds } = await answerOfPage('/page', { backend: 'webgpu-software' });
    assert.equal(backend.name, 'webgpu');
    assert.match(backend.isa, /swiftshader/);
    assert.deepEqual(tokenIds, expected);
  });

  it('does not take a GPU that is computed by itself, but threads of wasm where the page is isolated', async () => {
    const { backend, tokenIds } = await answerOfPage('/isolated/page', { threads: 2 });
    assert.equal(backend.name, 'wasm');
    assert.equal(backend.threads, 2);
    assert.deepEqual(tokenIds, expected);
  });

  it('runs wasm on one thread where the page is not isolated, and says what more would take', async () => {
    const { backend, tokenIds } = await answerOfPage('/page', { backend: 'auto' });
    assert.equal(backend.name, 'wasm');
    assert.equal(backend.threads, 1);
    assert.deepEqual(tokenIds, expected);
    const options = { model: 'tiny.gguf', backend: 'wasm', threads: 2 };
    const { code, message } = await withPage('/page', (page) => errorOfPage(page, options));
    assert.equal(code, 'BACKEND_UNAVAILABLE');
    assert.match(
      message,
      /2 threads of the wasm backend need shared memory: .*Cross-Origin-Opener-Policy: same-origin/,
    );
    assert.match(message, /Cross-Origin-Embedder-Policy: require-corp, or load with threads: 1$/);
  });

  it('takes files and bytes, streams, chats, counts tokens, tells its progress, and closes', async () => {
    const seen = await withPage('/page', (page) =>
      page.evaluate(async () => {
        const { kvant } = globalThis as unknown as LibraryPage;
        const bytes = new Uint8Array(await (await fetch('tiny.gguf')).arrayBuffer());
        const progress: number[] = [];
        const downloads: string[] = [];
        const paths: string[] = [];
        for (const model of [new File([bytes], 'chosen.gguf'), bytes, new URL('tiny.gguf', location.href)]) {
          const loaded = await kvant.load({
            model,
            backend: 'reference',
            onProgress: ({ loadedBytes, totalBytes }) => progress.push(loadedBytes / totalBytes),
            onDownload: ({ url, loadedBytes, totalBytes }) => downloads.push(`${url} ${loadedBytes === totalBytes}`),
          });
          paths.push(loaded.info.path);
          await loaded.close();
        }
        const model = await kvant.load({ model: 'tiny.gguf', draftModel: bytes, swap: 'memory' });
        const chat = model.chat();
        let text = '';
        for await (const chunk of chat.send('hello', { maxTokens: 5 })) text += chunk.text;
        const roundTrip = await model.detokenize(await model.tokenize('hello'));
        const codeOf = (error: { readonly code?: string }) => error.code;
        const saved = await chat.save('talk.kvp').then(() => undefined, codeOf);
        await model.close();
        const closed = await model.tokenize('hello').then(() => undefined, codeOf);
        const messages = chat.messages.map(({ role }) => role);
        const { draftModel } = model.info;
        return { progress: progress.at(-1), downloads, paths, text, draftModel, messages, roundTrip, saved, closed };
      }),
    );
    const url = `${site.origin}/tiny.gguf`;
    assert.equal(seen.progress, 1);
    assert.equal(seen.downloads.at(-1), `${url} true`);
    assert.deepEqual(seen.paths, ['chosen.gguf', 'model.gguf', url]);
    assert.ok(seen.text.length > 0);
    assert.equal(seen.draftModel, 'tiny qwen3');
    assert.deepEqual(seen.messages, ['user', 'assistant']);
    assert.equal(seen.roundTrip, 'hello');
    assert.equal(seen.saved, 'FILE_ERROR');
    assert.equal(seen.closed, 'ENGINE_CLOSED');
  });

  it('tells what is wrong', async () => {
    const cases: readonly (readonly [options: object, code: string, words: RegExp])[] = [
      [
        { model: 'tiny.gguf', backend: 'webgpu' },
        'BACKEND_UNAVAILABLE',
        /only adapter, swiftshader, computes in software: switch hardware acceleration on in the browser, or .*; or use --backend wasm/,
      ],
      [
        { model: 'missing.gguf' },
        'MODEL_NOT_FOUND',
        /nothing at ".*\/missing\.gguf" \(status 404\): check the address/,
      ],
      [
        { model: 'cut.gguf' },
        'MODEL_TRUNCATED',
        /the download of ".*\/cut\.gguf" broke off after [\d,]+ bytes of [\d,]+ bytes: try again/,
      ],
      [{ model: 'short.gguf' }, 'MODEL_TRUNCATED', /short\.gguf/],
      [{ model: 'text.gguf' }, 'MODEL_NOT_GGUF', /is not a GGUF file: it starts with "<!do"/],
      [
        { model: 'tiny.gguf', swap: 'disk' },
        'INVALID_OPTION',
        /needs folders, which browsers have not got: use swap: "memory"/,
      ],
      [{ model: 'tiny.gguf', kv: 'q7' }, 'INVALID_OPTION', /option "kv" must be/],
      [
        { model: 5 },
        'INVALID_OPTION',
        /option "model" must be a URL, a File or another Blob, or bytes of a GGUF file; got number/,
      ],
      [{}, 'INVALID_OPTION', /option "model" must be .*; got nothing/],
      [
        { model: 'tiny.gguf', kv: 'mix3', calibration: 'no.json' },
        'FILE_ERROR',
        /cannot read the calibration ".*\/no\.json"/,
      ],
    ];
    await withPage('/page', async (page) => {
      for (const [options, code, words] of cases) {
        const error = await errorOfPage(page, options);
        assert.match(error.message, words);
        assert.equal(error.code, code, error.message);
      }
    });
  });

  it('tells what another browser may lack', async () => {
    const lacking = (code: string, options: object): Promise<PageError> =>
      withPage('/page', async (page) => {
        await page.context().route('**/worker-browser*', async (route) => {
          const response = await route.fetch();
          await route.fulfill({ response, body: `${code};\n${await response.text()}` });
        });
        return errorOfPage(page, { model: 'tiny.gguf', ...options }).finally(() => page.context().unrouteAll());
      });
    const noSharing = 'WebAssembly.Memory = function () { throw new TypeError("no") }';
    const wasm = await lacking(noSharing, { backend: 'wasm' });
    assert.equal(wasm.code, 'BACKEND_UNAVAILABLE');
    assert.match(
      wasm.message,
      /^the wasm backend needs shared memory: serve the page with .*Embedder-Policy: require-corp/,
    );
    const noGpu = 'Object.defineProperty(navigator, "gpu", { value: undefined })';
    const gpu = await lacking(noGpu, { backend: 'webgpu-software' });
    assert.equal(gpu.code, 'BACKEND_UNAVAILABLE');
    assert.match(gpu.message, /^this browser has no WebGPU here: .*HTTPS or localhost; or use --backend wasm$/);
  });

  it('tells which of its own files a server does not have', async () => {
    const missing = (files: string, options: object): Promise<PageError> =>
      withPage('/page', async (page) => {
        await page.context().route(files, (route) => route.fulfill({ status: 404 }));
        try {
          return await errorOfPage(page, { model: 'tiny.gguf', ...options });
        } finally {
          await page.context().unroute(files);
        }
      });
    const worker = await missing('**/worker-browser*', { backend: 'reference' });
    assert.equal(worker.code, 'ENGINE_FAILED');
    assert.match(worker.message, /the engine's worker ended unexpectedly \(its script cannot be loaded\)/);
    const shader = await missing('**/attend*.wgsl', { backend: 'webgpu-software' });
    assert.equal(shader.code, 'BACKEND_UNAVAILABLE');
    assert.match(shader.message, /the shader .*attend.*\.wgsl cannot be read \(Error: status 404\): serve it with/);
    const kernels = await missing('**/*.wasm', { backend: 'wasm' });
    assert.equal(kernels.code, 'BACKEND_UNAVAILABLE');
    assert.match(
      kernels.message,
      /the WebAssembly kernels .*\.wasm cannot be read \(Error: status 404\): serve them with/,
    );
  });

  it('stops loading when it is told to', async () => {
    const name = await withPage('/page', (page) =>
      page.evaluate(async () => {
        const { kvant } = globalThis as unknown as LibraryPage;
        const controller = new AbortController();
        const onDownload = (): void => controller.abort();
        const loading = kvant.load({ model: 'tiny.gguf', signal: controller.signal, onDownload });
        return loading.then(
          () => 'loaded',
          (error: Error) => error.name,
        );
      }),
    );
    assert.equal(name, 'AbortError');
  });
});
