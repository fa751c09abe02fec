import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { ChatMessage } from '../../src/index.ts';

/** A chat and what the float32 model answers to it, greedily. */
export interface ReferencePrompt {
  readonly messages: readonly ChatMessage[];
  /** The messages through the chat template. */
  readonly prompt: string;
  readonly ids: readonly number[];
  readonly greedy: {
    readonly ids: readonly number[];
    readonly logprobs: readonly number[];
    /** Log-probability of each token taken less that of the runner-up. */
    readonly margins: readonly number[];
    readonly text: string;
  };
}

export interface TokenizerCase {
  readonly text: string;
  /** Ids with special tokens as plain text. */
  readonly ids: readonly number[];
  /** Ids with special tokens recognised, where they differ. */
  readonly ids_special?: readonly number[];
}

/** Path of a folder in test/reference, such as `smollm2` or `tiny/llama-d64`. */
export function referenceFolder(name: string): string {
  return fileURLToPath(new URL(`../reference/${name}`, import.meta.url));
}

/** Path of a model in test/models/tiny, such as `llama-d64.Q8_0.gguf`. */
export function tinyModel(fileName: string): string {
  return fileURLToPath(new URL(`../models/tiny/${fileName}`, import.meta.url));
}

export async function readPrompts(folder: string): Promise<readonly ReferencePrompt[]> {
  return ((await readJson(`${folder}/prompts.json`)) as { prompts: ReferencePrompt[] }).prompts;
}

export async function readTokenizerCases(folder: string): Promise<readonly TokenizerCase[]> {
  return ((await readJson(`${folder}/tokenizer_cases.json`)) as { cases: TokenizerCase[] }).cases;
}

async function readJson(path: string): Promise<unknown> {
  return JSON.parse(await readFile(path, 'utf8'));
}
