import { existsSync } from 'node:fs';
import { chromium, type Browser } from 'playwright-core';

/** Debian's chromium, which also brings a GPU that is computed. */
const CHROMIUM = '/usr/bin/chromium';

/** Why tests in a browser cannot run here; false if they can. */
export const SKIP_CHROMIUM: string | false = existsSync(CHROMIUM) ? false : 'no browser: apt-get install chromium';

/** WebGPU on SwiftShader, whatever the machine has. */
const COMPUTED_GPU = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];

/** Starts a headless browser; whoever does closes it. */
export async function launchChromium(): Promise<Browser> {
  // Without a sandbox, since tests may run as root, as they do in containers.
  return chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', ...COMPUTED_GPU] });
}
