import type { EngineStats } from '../../index.ts';

/** Statistics with a different number in every place. */
export const FAKE_STATS: EngineStats = {
  kv: { format: 'q4', bitsPerElement: 4.5, bytesF16PerToken: 1024 },
  requests: { running: 2, waiting: 3 },
  pages: {
    tokensPerPage: 64,
    byState: { open: 3, sealed: 4, shared: 5, kept: 6 },
    byFormat: [
      { format: 'q4', bitsPerElement: 4.5, open: 2, sealed: 3, shared: 5, kept: 0, bytes: 3000, bytesF16: 9000 },
      { format: 'q8', bitsPerElement: 8.5, open: 1, sealed: 1, shared: 0, kept: 6, bytes: 5000, bytesF16: 7000 },
    ],
    strip: [
      { id: 17, state: 'shared', format: 'q4', bitsPerElement: 4.5, users: 2 },
      { id: 18, state: 'open', format: 'q8', bitsPerElement: 16, users: 1 },
    ],
  },
  memory: { usedBytes: 8000, keptBytes: 3000, freeBytes: 12_000, totalBytes: 20_000 },
  counts: {
    queriedTokens: 400,
    hitTokens: 100,
    generatedTokens: 70,
    preemptions: 7,
    drafts: 8,
    draftedTokens: 20,
    acceptedTokens: 11,
    endedRequests: 9,
  },
  steps: 123,
};
