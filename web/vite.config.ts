import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

/** Where `npm run dev:web` finds the API: a `kvant serve` that runs beside it. */
const DEVELOPMENT_SERVER = 'http://127.0.0.1:8080';

/** Everything is a file of its own, so that the page runs under a policy that allows neither inline scripts nor inline styles. */
export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  base: './',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: '../build/web',
    emptyOutDir: true,
    target: 'es2023',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  // With the host that the browser asked for: the server refuses pages of other origins.
  server: { proxy: { '/v1': { target: DEVELOPMENT_SERVER, changeOrigin: false } } },
});
