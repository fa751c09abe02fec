import * as z from 'zod';
import { KvantError } from '../errors.ts';
import type { TraceRequest } from './trace.ts';

/** Tokens of a block that has a hash. */
export const MOONCAKE_BLOCK_TOKENS = 512;

const count = z.int().min(0);
const mooncakeLine = z.object({
  timestamp: z.number().min(0),
  input_length: count.min(1),
  output_length: count,
  hash_ids: z.array(count.max(2 ** 31 - 1)),
});

/** What tells all requests of a Mooncake trace apart is their blocks: it knows no tenants. */
const TENANT = 'all';

/**
 * Reads a request trace in the format of Mooncake (arXiv 2407.00079; github.com/kvcache-ai/Mooncake, FAST25-release/traces): a JSON object a
 * line with `timestamp` in milliseconds, `input_length` and `output_length` in tokens, and `hash_ids`, one for each block of 512 tokens of
 * the input, the last of which may be partly filled. A hash stands for the block and all before it. Answers are not told: each is tokens
 * that come nowhere else.
 *
 * @param source what the text came from, for errors
 * @returns in the order of the file
 * @throws KvantError INVALID_INPUT naming the line
 */
export function parseMooncakeTrace(text: string, source: string): TraceRequest[] {
  const requests: TraceRequest[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const where = `line ${index + 1} of ${source}`;
    requests.push(toRequest(parseLine(line, where), requests.length, where));
  }
  if (requests.length === 0) {
    throw new KvantError('INVALID_INPUT', `${source} holds no request: give a Mooncake trace, a JSON object a line`);
  }
  return requests;
}

type MooncakeLine = z.infer<typeof mooncakeLine>;

function parseLine(line: string, where: string): MooncakeLine {
  const expected = 'expected {"timestamp": ms, "input_length": tokens, "output_length": tokens, "hash_ids": [...]}';
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new KvantError('INVALID_INPUT', `${where} is not JSON: ${expected}`, { cause: error });
  }
  const parsed = mooncakeLine.safeParse(value);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0];
  throw new KvantError('INVALID_INPUT', `${where}, ${path.join('.') || 'all of it'}: ${message}; ${expected}`);
}

/** Blocks have even ids, answers odd ones. */
function toRequest({ timestamp, input_length, output_length, hash_ids }: MooncakeLine, index: number, where: string) {
  const numBlocks = Math.ceil(input_length / MOONCAKE_BLOCK_TOKENS);
  if (hash_ids.length !== numBlocks) {
    const sizes = `${hash_ids.length} hash_ids for ${input_length} tokens, which are ${numBlocks} blocks`;
    throw new KvantError('INVALID_INPUT', `${where} has ${sizes} of ${MOONCAKE_BLOCK_TOKENS}`);
  }
  return {
    timestampMs: timestamp,
    tenant: TENANT,
    prompt: hash_ids.map((hash, block) => {
      const numTokens = Math.min(MOONCAKE_BLOCK_TOKENS, input_length - block * MOONCAKE_BLOCK_TOKENS);
      return { id: 2 * hash, numTokens };
    }),
    output: { id: 2 * index + 1, numTokens: output_length },
  };
}
