/** The tests of the webgpu backend, bundled for a page: see site.ts for what `node:test` is there. */
import '../../src/kernels/webgpu/attention.test.ts';
import '../../src/kernels/webgpu/dense.test.ts';
import '../../src/kernels/webgpu/matmul.test.ts';
import '../../src/kernels/webgpu/sealing.test.ts';
import '../../src/kernels/webgpu/webgpu-kernels.test.ts';
import { runTests, titles } from './node-test.ts';

export interface KernelTestPage {
  readonly kernelTests: { readonly runTests: typeof runTests; readonly titles: typeof titles };
}

Object.assign(globalThis, { kernelTests: { runTests, titles } } satisfies KernelTestPage);
