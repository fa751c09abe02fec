#!/usr/bin/env node
/** The command `kvant`. */
import * as nodeModule from 'node:module';
import { setFlagsFromString } from 'node:v8';
import { EngineClient } from '../engine/engine-client.ts';
import { startEngineWorker } from '../engine/port-node.ts';

// Compiled code is kept in the system's temporary folder from run to run, unless NODE_DISABLE_COMPILE_CACHE says otherwise.
// (From Node 22.1 on.)
const { enableCompileCache }: Partial<typeof nodeModule> = nodeModule;
enableCompileCache?.();

// Short-lived objects get the one MB that they start with, and not up to 32 before V8 looks for garbage: they are few here.
setFlagsFromString('--semi-space-growth-factor=1');

// Most commands load a model: its worker starts while the command line is still being read.
const early = [new EngineClient(startEngineWorker())];
const connect = (): EngineClient => early.pop() ?? new EngineClient(startEngineWorker());

const { loadWith } = await import('../engine/load-node.ts');
const { ProcessInterrupts } = await import('./interrupts.ts');
const { runProgram } = await import('./program.ts');

// Nobody is left to be told when stderr is closed, too; stdout is watched where it is written.
process.stderr.on('error', () => undefined);

process.exitCode = await runProgram(process.argv.slice(2), {
  load: (options) => loadWith(connect, options ?? {}),
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  interrupts: new ProcessInterrupts(),
});
