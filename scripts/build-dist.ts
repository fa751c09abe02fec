/** Compiles src/ to dist/, what the published package holds: JavaScript, declarations, the kernels and the page from build/, and the shaders. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const kernels = readdirSync(`${root}build`).filter((name) => name.endsWith('.wasm'));
if (kernels.length === 0) {
  process.stderr.write('build/ holds no kernels: run "npm run build:wasm" first\n');
  process.exit(1);
}
if (!existsSync(`${root}build/web/index.html`)) {
  process.stderr.write('build/ holds no page: run "npm run build:web" first\n');
  process.exit(1);
}

rmSync(`${root}dist`, { recursive: true, force: true });
const compiler = fileURLToPath(import.meta.resolve('typescript/bin/tsc'));
const { status } = spawnSync(process.execPath, [compiler, '--project', `${root}tsconfig.build.json`], {
  stdio: 'inherit',
});
if (status !== 0) process.exit(1);

mkdirSync(`${root}dist/wasm`, { recursive: true });
for (const name of kernels) copyFileSync(`${root}build/${name}`, `${root}dist/wasm/${name}`);
cpSync(`${root}src/kernels/webgpu/shaders`, `${root}dist/kernels/webgpu/shaders`, { recursive: true });
cpSync(`${root}build/web`, `${root}dist/web`, { recursive: true });

// The compiler rewrites what is imported. What browsers load by its URL, workers and kernels, has other names in the package, too; bundlers
// only see such files where their names are written out.
for (const path of readdirSync(`${root}dist`, { recursive: true, encoding: 'utf8' })) {
  if (!path.endsWith('-browser.js')) continue;
  const code = readFileSync(`${root}dist/${path}`, 'utf8');
  const renamed = code.replace(/new URL\('([^']+)', import\.meta\.url\)/g, (_, file: string) => {
    const name = file.replace(/\.ts$/, '.js').replace('../../../build/', '../../wasm/');
    return `new URL('${name}', import.meta.url)`;
  });
  writeFileSync(`${root}dist/${path}`, renamed);
}
