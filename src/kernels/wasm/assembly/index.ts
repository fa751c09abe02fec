import { attendUnits, mergeRows } from './attend';
import {
  COMMAND_BARRIER,
  COMMAND_BYTES,
  COMMAND_CHUNK,
  COMMAND_ITEMS,
  COMMAND_NEXT,
  CONTROL_COMMANDS,
  CONTROL_NUM_COMMANDS,
  CONTROL_SCRATCH,
  CONTROL_SCRATCH_STRIDE,
  OP_ATTEND,
  OP_EMBED,
  OP_MATMUL,
  OP_MERGE_PARTS,
  OP_NORM_HEADS,
  OP_REPACK,
  OP_RMS_NORM,
  OP_SEAL,
  OP_SELECT_ROWS,
  OP_STORE_KEYS_VALUES,
  OP_SWIGLU,
} from './commands';
import { matmulStrips } from './matmul';
import { announceCommands, awaitCommands, barrier } from './pool';
import { repackStrips } from './repack';
import { embedRows, normHeadRows, rmsNormRows, selectRows, swiGluRows } from './rows';
import { sealTiles } from './seal';
import { storeKeysValues } from './store-keys-values';

export { timeDots } from './dot-speed';
export { readBytes } from './read-speed';
export { stripBytes } from './packed-weights';
export { quantizedRowBytes } from './row-quantize';

/** Runs the command list as thread 0, together with the threads in `serve`. */
export function runCommands(control: usize): void {
  announceCommands(control);
  executeCommands(control, 0);
}

/** The life of a kernel thread: runs every command list until told to end. */
export function serve(control: usize, thread: i32): void {
  let seen = 0;
  while (true) {
    seen = awaitCommands(control, seen);
    if (seen == 0) return;
    executeCommands(control, thread);
  }
}

/** Threads claim chunks of a command's items until none is left. Who computes an item never matters to its bits. */
function executeCommands(control: usize, thread: i32): void {
  const commands = <usize>load<u32>(control, CONTROL_COMMANDS);
  const numCommands = load<i32>(control, CONTROL_NUM_COMMANDS);
  const scratch =
    <usize>load<u32>(control, CONTROL_SCRATCH) + <usize>thread * <usize>load<u32>(control, CONTROL_SCRATCH_STRIDE);
  for (let i = 0; i < numCommands; i++) {
    const command = commands + <usize>(i * COMMAND_BYTES);
    const numItems = load<i32>(command, COMMAND_ITEMS);
    const chunk = load<i32>(command, COMMAND_CHUNK);
    while (true) {
      const begin = atomic.add<i32>(command, chunk, COMMAND_NEXT);
      if (begin >= numItems) break;
      runItems(command, begin, min(begin + chunk, numItems), scratch);
    }
    if (load<i32>(command, COMMAND_BARRIER)) barrier(control);
  }
}

function runItems(command: usize, begin: i32, end: i32, scratch: usize): void {
  const operation = load<i32>(command);
  if (operation == OP_MATMUL) matmulStrips(command, begin, end, scratch);
  else if (operation == OP_ATTEND) attendUnits(command, begin, end, scratch);
  else if (operation == OP_MERGE_PARTS) mergeRows(command, begin, end, scratch);
  else if (operation == OP_RMS_NORM) rmsNormRows(command, begin, end);
  else if (operation == OP_NORM_HEADS) normHeadRows(command, begin, end);
  else if (operation == OP_STORE_KEYS_VALUES) storeKeysValues(command, begin, end, scratch);
  else if (operation == OP_SWIGLU) swiGluRows(command, begin, end);
  else if (operation == OP_SEAL) sealTiles(command, begin, end, scratch);
  else if (operation == OP_EMBED) embedRows(command, begin, end);
  else if (operation == OP_SELECT_ROWS) selectRows(command, begin, end);
  else if (operation == OP_REPACK) repackStrips(command, begin, end);
  else unreachable();
}
