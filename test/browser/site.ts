import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin, type Rollup } from 'vite';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const ROOT = resolve(HERE, '../..');

/** What lets pages share memory with their workers. */
const ISOLATION = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'cross-origin-resource-policy': 'same-origin',
};

const TYPES: Readonly<Record<string, string>> = {
  js: 'text/javascript',
  html: 'text/html',
  wasm: 'application/wasm',
};

type Answer = string | Uint8Array | ((response: ServerResponse) => void);

/** A server of pages that Vite has bundled from the sources, as a user of the library would. */
export class TestSite {
  readonly origin: string;
  readonly #server: Server;
  readonly #files: Map<string, Answer>;

  /** @param extra answers by path, beside the bundle's own files */
  static async start(extra: Readonly<Record<string, Answer>>): Promise<TestSite> {
    const files = new Map<string, Answer>([...(await bundle()), ...Object.entries(extra)]);
    const server = createServer(({ url = '/' }, response) => answer(files, url, response)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new TestSite(server, files);
  }

  private constructor(server: Server, files: Map<string, Answer>) {
    this.#server = server;
    this.#files = files;
    this.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** Names of bundled files. */
  get fileNames(): string[] {
    return [...this.#files.keys()];
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }
}

/** Below /isolated/ everything has the headers of isolation; a path without a file is a page that runs the script of its name. */
function answer(files: ReadonlyMap<string, Answer>, url: string, response: ServerResponse): void {
  const isIsolated = url.startsWith('/isolated/');
  const path = url.replace(/^\/isolated/, '').replace(/[?#].*/, '');
  const page = `<!doctype html><title>Kvant</title><script type="module" src=".${path}.js"></script>`;
  const found = files.get(path) ?? (files.has(`${path}.js`) ? page : undefined);
  if (isIsolated) for (const [name, value] of Object.entries(ISOLATION)) response.setHeader(name, value);
  if (typeof found === 'function') return found(response);
  const type = files.has(path) ? TYPES[path.split('.').at(-1) ?? ''] : 'text/html';
  if (type !== undefined) response.setHeader('content-type', type);
  if (found === undefined) response.writeHead(404).end();
  else response.end(found);
}

async function bundle(): Promise<Map<string, Answer>> {
  const outputs = (await build({
    ...{ configFile: false, root: ROOT, base: './', logLevel: 'warn', publicDir: false },
    plugins: [forPages()],
    worker: { format: 'es' },
    build: {
      ...{ write: false, minify: false, target: 'esnext', modulePreload: false, assetsInlineLimit: 0 },
      rollupOptions: {
        input: { page: `${HERE}page.ts`, 'kernel-tests': `${HERE}kernel-tests.ts` },
        output: { entryFileNames: '[name].js' },
      },
    },
  })) as Rollup.RollupOutput;
  return new Map(outputs.output.map((file) => [`/${file.fileName}`, file.type === 'chunk' ? file.code : file.source]));
}

/** Tests of kernels run in a page with a runner of ours, and on the page's GPU. */
function forPages(): Plugin {
  const own: Readonly<Record<string, string>> = {
    'node:test': `${HERE}node-test.ts`,
    'node:assert/strict': `${HERE}node-assert.ts`,
  };
  return {
    name: 'kvant-for-pages',
    enforce: 'pre',
    resolveId(source, importer) {
      if (Object.hasOwn(own, source)) return own[source];
      if (importer === undefined || !/\.test\.ts$/.test(importer)) return undefined;
      const path = resolve(dirname(importer), source.replace(/(-node)?\.ts$/, '-browser.ts'));
      return existsSync(path) ? path : undefined;
    },
  };
}
