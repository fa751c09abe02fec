/**
 * A process that speaks the protocol of peers and computes nothing. Its rates follow from its setting: prefill takes a millisecond a token
 * on two threads and two on one, decode one millisecond with F16 and two with anything else. Of many users it serves one after the other.
 * BF16 it refuses; with F32 it dies measuring.
 */
import type { PeerReply, PeerRequest, PeerSetting, PeerUsersRequest } from '../peer-protocol.ts';

let setting: PeerSetting | undefined;

process.on('disconnect', () => process.exit(0));
process.on('message', (request: PeerRequest) => {
  process.send?.(answer(request));
});

function answer(request: PeerRequest): PeerReply {
  if (request.type === 'open') {
    setting = request.setting;
    return setting.kv === 'BF16' ? { type: 'failed', message: 'no BF16 here' } : { type: 'opened' };
  }
  if (setting?.kv === 'F32') {
    process.stderr.write('a fatal error\n');
    process.exit(3);
  }
  if (request.type === 'measureUsers') return users(request);
  const prefillMs = request.tokens.length * (setting?.threads === 2 ? 1 : 2);
  const decodeMs = (request.numNewTokens - 1) * (setting?.kv === 'F16' ? 1 : 2);
  return { type: 'measured', prefillMs, decodeMs, numNewTokens: request.numNewTokens };
}

/** The prefix takes as long as one user's. */
function users({ prefix, prompts, numNewTokens }: PeerUsersRequest): PeerReply {
  const msPerToken = setting?.kv === 'F16' ? 1 : 2;
  let nowMs = prefix.length;
  const served = prompts.map((prompt) => {
    nowMs += prompt.length + msPerToken;
    const ttftMs = nowMs;
    nowMs += (numNewTokens - 1) * msPerToken;
    return { ttftMs, numNewTokens };
  });
  return { type: 'usersMeasured', wallMs: nowMs, users: served };
}
