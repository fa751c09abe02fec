/** node-llama-cpp as a process that `kvant bench --against node-llama-cpp` talks to; src/bench/peer-protocol.ts tells in what words. */
import { getLlama, LlamaLogLevel, type LlamaContextSequence, type Token } from 'node-llama-cpp';
import type { PeerMeasureRequest, PeerOpenRequest, PeerReply, PeerRequest } from '../../src/bench/peer-protocol.ts';

/** Its default for a prompt; batches of 2,048 were no faster on two cores. */
const BATCH_TOKENS = 512;

let sequence: LlamaContextSequence | undefined;

process.on('disconnect', () => process.exit(0));
process.on('message', (request: PeerRequest) => {
  void answer(request).then((reply) => process.send?.(reply));
});

async function answer(request: PeerRequest): Promise<PeerReply> {
  try {
    return request.type === 'open' ? await open(request) : await measure(request);
  } catch (error) {
    return { type: 'failed', message: error instanceof Error ? error.message : String(error) };
  }
}

async function open({ setting, modelPath, contextTokens }: PeerOpenRequest): Promise<PeerReply> {
  // No limit of threads but the context's own.
  const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error, maxThreads: 0 });
  const model = await llama.loadModel({ modelPath });
  const kvType = setting.kv as 'F16';
  const context = await model.createContext({
    contextSize: contextTokens,
    batchSize: BATCH_TOKENS,
    threads: setting.threads,
    flashAttention: true,
    experimentalKvCacheKeyType: kvType,
    experimentalKvCacheValueType: kvType,
  });
  if (context.currentThreads !== setting.threads) {
    throw new Error(`runs on ${context.currentThreads} threads instead of ${setting.threads}`);
  }
  sequence = context.getSequence();
  return { type: 'opened' };
}

/** The plain iterator: `controlledEvaluate` is slower. */
async function measure({ tokens, numNewTokens }: PeerMeasureRequest): Promise<PeerReply> {
  if (!sequence) throw new Error('no model is open');
  await sequence.clearHistory();
  let numGenerated = 0;
  const startMs = performance.now();
  let firstMs = startMs;
  for await (const _ of sequence.evaluate(tokens as Token[], { temperature: 0, yieldEogToken: true })) {
    numGenerated++;
    if (numGenerated === 1) firstMs = performance.now();
    if (numGenerated === numNewTokens) break;
  }
  const endMs = performance.now();
  return { type: 'measured', prefillMs: firstMs - startMs, decodeMs: endMs - firstMs, numNewTokens: numGenerated };
}
