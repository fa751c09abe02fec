import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

/**
 * The layers: what the files of each folder of src/ may import from other folders (the own folder always). Everything else is
 * refused, types included. src/index.ts is the public library: the command line uses it as anybody would, and nothing below it may.
 */
const LAYERS = {
  tokens: ['errors.ts'],
  quant: ['errors.ts'],
  cache: ['errors.ts', 'quant/'],
  kernels: ['errors.ts', 'quant/', 'cache/'],
  model: ['errors.ts', 'quant/', 'cache/', 'kernels/'],
  calibration: ['errors.ts', 'quant/', 'cache/'],
  sessions: ['errors.ts', 'cache/'],
  engine: ['errors.ts', 'quant/', 'cache/', 'kernels/', 'tokens/', 'model/', 'calibration/', 'sessions/'],
  bench: ['errors.ts', 'quant/', 'cache/', 'kernels/', 'model/', 'engine/'],
  server: ['errors.ts', 'index.ts', 'engine/', 'sessions/'],
  cli: ['errors.ts', 'index.ts', 'sessions/', 'engine/', 'bench/', 'eval/', 'calibrate/', 'server/'],
  eval: ['errors.ts', 'quant/', 'cache/', 'kernels/', 'tokens/', 'model/', 'calibration/', 'engine/'],
  calibrate: ['errors.ts', 'quant/', 'cache/', 'kernels/', 'tokens/', 'model/', 'calibration/', 'engine/', 'eval/'],
};

/** Entry files, which alone may use Node's modules and globals, and what never runs at a user's. */
const ENTRY_FILES = ['src/cli/**/*.ts', 'src/**/*-node.ts'];
/** The same for browsers. */
const BROWSER_FILES = 'src/**/*-browser.ts';
const TEST_FILES = ['src/**/*.test.ts', 'src/**/testing/**/*.ts', 'test/**/*.ts', 'web/**/*.test.ts'];
/** The page, which runs in browsers only. */
const PAGE_FILES = ['web/src/**/*.ts', 'web/src/**/*.tsx'];

/** Folders below src/LAYER/ in which sources may lie. */
const DEPTHS = [1, 2, 3];

const NODE_MODULES = { regex: '^node:', message: 'Only entry files (src/cli, *-node.ts) may use the modules of Node.' };
const NODE_ENTRIES = {
  regex: '-node\\.ts$',
  message: 'Only entry files (src/cli, *-node.ts) may import those of Node.',
};
const NODE_GLOBALS = ['process', 'Buffer', 'setImmediate', 'require', '__dirname', '__filename'];
const BROWSER_ENTRIES = { regex: '-browser\\.ts$', message: 'Only *-browser.ts may import what is for browsers.' };
/** See src/browser-globals.d.ts. */
const BROWSER_GLOBALS = ['navigator', 'self', 'document', 'location', 'Worker', 'crossOriginIsolated'];

function restrictGlobals(files, ignores, ...restricted) {
  const names = restricted.flatMap(({ globals, message }) => globals.map((name) => ({ name, message })));
  return { files, ignores, rules: { 'no-restricted-globals': ['error', ...names] } };
}

function restrictImports(files, ignores, patterns) {
  return { files, ignores, rules: { 'no-restricted-imports': ['error', { patterns }] } };
}

/** Refuses every path that leaves the layer's folder, but for those into `allowed`; each depth has a pattern of its own. */
function layerRules([layer, allowed]) {
  return DEPTHS.flatMap((depth) => {
    const files = [`src/${layer}/${'*/'.repeat(depth - 1)}*.ts`];
    const refuseAllBut = (folders) => ({
      regex: `^(\\.\\./){${depth}}(?!(${folders.join('|').replaceAll('.', '\\.')}))`,
      message: `${layer}/ may import from ${allowed.join(', ')} only: the layers stand in eslint.config.js.`,
    });
    const own = refuseAllBut(allowed);
    // What listens on a port has no use in a browser.
    const isForNode = layer === 'server';
    const entryOrTest = [...ENTRY_FILES, BROWSER_FILES, ...TEST_FILES];
    return [
      restrictImports(files, entryOrTest, [own, NODE_MODULES, ...(isForNode ? [] : [NODE_ENTRIES]), BROWSER_ENTRIES]),
      restrictImports([[files[0], BROWSER_FILES]], TEST_FILES, [own, NODE_MODULES, NODE_ENTRIES]),
      ...ENTRY_FILES.map((entry) => restrictImports([[files[0], entry]], TEST_FILES, [own, BROWSER_ENTRIES])),
      // Tests sit beside the source and obey the same arrows, but may use what helps tests.
      ...TEST_FILES.map((test) => restrictImports([[files[0], test]], [], [refuseAllBut([...allowed, '(../)?test/'])])),
    ];
  });
}

export default defineConfig(
  { ignores: ['node_modules/', 'dist/', 'build/', 'shared/', 'bench/peers/', 'src/kernels/wasm/assembly/', '**/*.js'] },
  {
    files: ['**/*.ts', '**/*.tsx'],
    extends: [tseslint.configs.recommendedTypeChecked],
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      eqeqeq: 'error',
      'no-console': 'error',
      'no-var': 'error',
      'prefer-const': 'error',
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      // Methods of an asynchronous interface need not all wait for something.
      '@typescript-eslint/require-await': 'off',
    },
  },
  restrictGlobals(
    ['src/**/*.ts'],
    [...ENTRY_FILES, ...TEST_FILES],
    { globals: NODE_GLOBALS, message: NODE_MODULES.message },
    { globals: BROWSER_GLOBALS, message: 'Only *-browser.ts may use the globals of a browser.' },
  ),
  restrictGlobals([BROWSER_FILES], TEST_FILES, { globals: NODE_GLOBALS, message: NODE_MODULES.message }),
  restrictImports(['src/browser.ts'], [], [NODE_MODULES, NODE_ENTRIES]),
  {
    files: PAGE_FILES,
    ignores: TEST_FILES,
    rules: {
      'no-restricted-globals': [
        'error',
        ...NODE_GLOBALS.map((name) => ({ name, message: 'The page runs in browsers.' })),
      ],
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            { regex: '^node:', message: 'The page runs in browsers.' },
            {
              regex: '^(\\.\\./)+src/',
              message: "web/ may import from web/ only: it is a client of the server's API.",
            },
          ],
        },
      ],
    },
  },
  {
    files: ['src/**/*.ts', 'scripts/**/*.ts', ...PAGE_FILES],
    ignores: TEST_FILES,
    rules: {
      'max-lines': ['error', { max: 300, skipBlankLines: true, skipComments: true }],
      // A longer one says why where it switches this off.
      'max-lines-per-function': ['error', { max: 40, skipBlankLines: true, skipComments: true }],
    },
  },
  {
    files: TEST_FILES,
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/unbound-method': 'off',
      // node:test's own runner waits for these.
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            { from: 'package', package: 'node:test', name: ['describe', 'it', 'test', 'suite'] },
          ],
        },
      ],
    },
  },
  // Programs to copy from, which tell on the terminal what they do.
  { files: ['examples/*.ts'], rules: { 'no-console': 'off' } },
  ...Object.entries(LAYERS).flatMap(layerRules),
);
