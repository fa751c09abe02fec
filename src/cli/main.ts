#!/usr/bin/env node
/** The command `kvant`. */
import { load } from '../engine/load-node.ts';
import { ProcessInterrupts } from './interrupts.ts';
import { runProgram } from './program.ts';

// Nobody is left to be told when stderr is closed, too; stdout is watched where it is written.
process.stderr.on('error', () => undefined);

process.exitCode = await runProgram(process.argv.slice(2), {
  load,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  interrupts: new ProcessInterrupts(),
});
