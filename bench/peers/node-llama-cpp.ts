/** node-llama-cpp as a process that `kvant bench --against node-llama-cpp` talks to; src/bench/peer-protocol.ts tells in what words. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getLlama, LlamaLogLevel, type LlamaContextSequence, type Token } from 'node-llama-cpp';
import type {
  PeerMeasureRequest,
  PeerOpenRequest,
  PeerReply,
  PeerRequest,
  PeerUsersRequest,
} from '../../src/bench/peer-protocol.ts';
import type { UserTimes } from '../../src/bench/users-task.ts';

/** Its default for a prompt; batches of 2,048 were no faster on two cores. */
const BATCH_TOKENS = 512;
const GREEDY = { temperature: 0, yieldEogToken: true };

let sequences: readonly LlamaContextSequence[] = [];

process.on('disconnect', () => process.exit(0));
process.on('message', (request: PeerRequest) => {
  void answer(request).then((reply) => process.send?.(reply));
});

async function answer(request: PeerRequest): Promise<PeerReply> {
  try {
    if (request.type === 'open') return await open(request);
    return request.type === 'measure' ? await measure(request) : await measureUsers(request);
  } catch (error) {
    return { type: 'failed', message: error instanceof Error ? error.message : String(error) };
  }
}

/** Each sequence has a context of its own size, and the default batching: whatever waits is computed together. */
async function open({ setting, modelPath, contextTokens, maxUsers }: PeerOpenRequest): Promise<PeerReply> {
  const gpu = setting.gpu ? 'auto' : false;
  // No limit of threads but the context's own.
  const llama = await getLlama({ gpu, build: 'never', logLevel: LlamaLogLevel.error, maxThreads: 0 });
  if (setting.gpu && (await llama.getGpuDeviceNames()).length === 0) throw new Error('finds no GPU');
  const model = await llama.loadModel({ modelPath, gpuLayers: setting.gpu ? 'max' : 0 });
  const kvType = setting.kv as 'F16';
  const context = await model.createContext({
    sequences: maxUsers,
    contextSize: contextTokens,
    batchSize: setting.batchTokens ?? BATCH_TOKENS,
    threads: setting.threads,
    flashAttention: setting.flashAttention ?? true,
    experimentalKvCacheKeyType: kvType,
    experimentalKvCacheValueType: kvType,
  });
  if (context.currentThreads !== setting.threads) {
    throw new Error(`runs on ${context.currentThreads} threads instead of ${setting.threads}`);
  }
  sequences = Array.from({ length: maxUsers }, () => context.getSequence());
  return { type: 'opened' };
}

/** The plain iterator: `controlledEvaluate` is slower. */
async function measure({ tokens, numNewTokens }: PeerMeasureRequest): Promise<PeerReply> {
  const [sequence] = sequences;
  if (!sequence) throw new Error('no model is open');
  await sequence.clearHistory();
  const startMs = performance.now();
  const { ttftMs, numNewTokens: numGenerated } = await generate(sequence, { tokens, numNewTokens }, startMs);
  const decodeMs = performance.now() - startMs - ttftMs;
  return { type: 'measured', prefillMs: ttftMs, decodeMs, numNewTokens: numGenerated };
}

async function measureUsers({ prefix, prompts, numNewTokens }: PeerUsersRequest): Promise<PeerReply> {
  if (sequences.length !== prompts.length) {
    throw new Error(`was opened for ${sequences.length} users, not for ${prompts.length}`);
  }
  for (const sequence of sequences) await sequence.clearHistory();
  const startMs = performance.now();
  if (prefix.length > 0) await sharePrefix(prefix as Token[]);
  const users = await Promise.all(
    prompts.map((tokens, user) => generate(sequences[user], { tokens, numNewTokens }, startMs)),
  );
  return { type: 'usersMeasured', wallMs: performance.now() - startMs, users };
}

/**
 * Computes the prefix once, and loads its state into every other sequence from a file. Sequences share nothing otherwise, and computing it
 * in each takes several times as long (2,048 tokens, 16 sequences: 213 s to the first tokens instead of 16 s). Copying from sequence to
 * sequence, which it does inside but does not offer, would save 0.2 s of these.
 */
async function sharePrefix(prefix: Token[]): Promise<void> {
  const [first, ...others] = sequences;
  await first.evaluateWithoutGeneratingNewTokens(prefix);
  if (others.length === 0) return;
  const folder = await mkdtemp(join(tmpdir(), 'kvant-peer-'));
  try {
    const path = join(folder, 'prefix');
    await first.saveStateToFile(path);
    for (const sequence of others) await sequence.loadStateFromFile(path, { acceptRisk: true });
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function generate(
  sequence: LlamaContextSequence,
  { tokens, numNewTokens }: { readonly tokens: readonly number[]; readonly numNewTokens: number },
  startMs: number,
): Promise<UserTimes> {
  let numGenerated = 0;
  let ttftMs = 0;
  for await (const _ of sequence.evaluate(tokens as Token[], GREEDY)) {
    numGenerated++;
    if (numGenerated === 1) ttftMs = performance.now() - startMs;
    if (numGenerated === numNewTokens) break;
  }
  return { ttftMs, numNewTokens: numGenerated };
}
