import {
  COMMAND_ARGUMENTS,
  COMMAND_BARRIER,
  COMMAND_BYTES,
  COMMAND_CHUNK,
  COMMAND_ITEMS,
} from './assembly/commands.ts';
import type { SharedMemory } from './shared-memory.ts';

const MAX_COMMANDS = 8192;
const WORD = 4;
const MAX_ARGUMENTS = 11;

export interface Command {
  readonly operation: number;
  /** Units of work that threads claim. */
  readonly numItems: number;
  /** Units claimed at a time. */
  readonly chunk: number;
  /** Whether all threads meet before the next command; not needed where the next one reads nothing that this one writes. */
  readonly barrier: boolean;
  readonly args: readonly number[];
}

/** The command list that a step records and the kernel threads run. */
export class Program {
  readonly address: number;
  readonly #words: Uint32Array;
  readonly #floats: Float32Array;
  #length = 0;

  constructor(memory: SharedMemory) {
    this.address = memory.allocate(MAX_COMMANDS * COMMAND_BYTES, 'the command list');
    this.#words = memory.words(this.address, (MAX_COMMANDS * COMMAND_BYTES) / WORD);
    this.#floats = memory.floats(this.address, (MAX_COMMANDS * COMMAND_BYTES) / WORD);
  }

  get length(): number {
    return this.#length;
  }

  clear(): void {
    this.#length = 0;
  }

  /** @throws RangeError if the list is full, or a command has too many arguments */
  add({ operation, numItems, chunk, barrier, args }: Command): void {
    if (this.#length === MAX_COMMANDS) throw new RangeError(`a step has more than ${MAX_COMMANDS} commands`);
    if (args.length > MAX_ARGUMENTS) throw new RangeError(`a command has ${args.length} arguments`);
    const base = (this.#length * COMMAND_BYTES) / WORD;
    this.#words.fill(0, base, base + COMMAND_BYTES / WORD);
    this.#words[base] = operation;
    this.#words[base + COMMAND_ITEMS / WORD] = numItems;
    this.#words[base + COMMAND_CHUNK / WORD] = chunk;
    this.#words[base + COMMAND_BARRIER / WORD] = barrier ? 1 : 0;
    this.#words.set(args, base + COMMAND_ARGUMENTS / WORD);
    this.#length += 1;
  }

  /** Replaces an argument of the last command by a float32. */
  setFloat(argument: number, value: number): void {
    this.#floats[((this.#length - 1) * COMMAND_BYTES + COMMAND_ARGUMENTS) / WORD + argument] = value;
  }

  /** Makes all threads meet after the last command. */
  end(): void {
    if (this.#length > 0) this.#words[((this.#length - 1) * COMMAND_BYTES + COMMAND_BARRIER) / WORD] = 1;
  }
}
