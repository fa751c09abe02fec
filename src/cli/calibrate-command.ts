import { access, constants, rename, writeFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { calibrateOnText } from '../calibrate/calibrate-node.ts';
import { pathBeside } from '../engine/load-calibration.ts';
import { chooseBackend } from '../engine/choose-backend-node.ts';
import { resolveOptions } from '../engine/load-node.ts';
import { fileErrorReason, KvantError } from '../errors.ts';
import type { BenchSession } from './bench-session.ts';
import { CALIBRATE_DEFAULTS, type CALIBRATE_FLAGS } from './calibrate-flags.ts';
import type { OptionsOf } from './cli-options.ts';
import { formatBytes } from './format.ts';
import { definedOnly } from './load-model.ts';
import { readTextFile } from './text-file.ts';

/** What `--json` prints. */
export interface CalibrateReport {
  readonly model: string;
  readonly fingerprint: string;
  readonly output: string;
  readonly output_bytes: number;
  readonly tokens: number;
  readonly seconds: number;
  /** Layers that get more bits, the most urgent first. */
  readonly upgrades: readonly string[];
}

/** Learns from a text and writes a calibration file. @throws KvantError INVALID_OPTION, FILE_ERROR, and what loading a model throws */
export async function calibrateCommand(
  options: OptionsOf<typeof CALIBRATE_FLAGS>,
  session: BenchSession,
): Promise<CalibrateReport> {
  const { text, windows = CALIBRATE_DEFAULTS.windows, ctx } = options;
  if (text === undefined) throw new KvantError('INVALID_OPTION', 'give a text to learn from with --text FILE');
  const { model, threads, backend } = options;
  const load = resolveOptions({ ...definedOnly({ model, threads }), backend: await chooseBackend(backend) });
  const output = options.output ?? pathBeside(load.modelPath);
  await inFile(output, () => access(dirname(output), constants.W_OK));
  const startMs = performance.now();
  const learnt = await calibrateOnText(load, await readTextFile(text), {
    ctx,
    mostCtxByDefault: CALIBRATE_DEFAULTS.ctx,
    numWindows: windows,
    withUpgrades: options.transformsOnly !== true,
    textName: basename(text),
    onProgress: (describe) => session.progress(describe),
    signal: session.signal,
  });
  const seconds = (performance.now() - startMs) / 1000;
  const bytes = await write(output, learnt.fileText);
  await session.print(`${output}: ${formatBytes(bytes)}, learnt in ${Math.round(seconds)} s\n`);
  return {
    model: load.modelPath,
    fingerprint: learnt.fingerprint,
    output,
    output_bytes: bytes,
    tokens: learnt.numTokens,
    seconds,
    upgrades: learnt.upgrades.map(({ kind, layer }) => `${kind}${layer}`),
  };
}

/** Writes beside the file and puts it in its place when all of it is there. */
async function write(path: string, text: string): Promise<number> {
  const partial = `${path}.partial`;
  await inFile(path, async () => {
    await writeFile(partial, text);
    await rename(partial, path);
  });
  return Buffer.byteLength(text);
}

async function inFile(path: string, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    throw new KvantError('FILE_ERROR', `cannot write "${path}": ${fileErrorReason(error)}`, { cause: error });
  }
}
