import type { ChatNode } from '../chat/conversation.ts';
import { useApp } from '../state/app-state.ts';
import { formatBits, formatBytes, formatCount, formatMs, formatSpeed, plural } from '../text/figures.ts';
import { Icon } from './icon.tsx';

/** What an answer took, and how it ended if not by itself. */
export function AnswerNote({ node }: { readonly node: ChatNode }) {
  const { figures } = node;
  return (
    <div class="answer-note">
      {node.state === 'stopped' && <span class="ending">stopped</span>}
      {node.finishReason === 'length' && <span class="ending">cut off at the limit of tokens</span>}
      <CachedPages node={node} />
      {figures?.ttftMs !== undefined && (
        <span title="Time to the first token">first token {formatMs(figures.ttftMs)}</span>
      )}
      {figures?.decodeTps !== undefined && (
        <span title="Speed after the first token">{formatSpeed(figures.decodeTps)} tok/s</span>
      )}
      {figures?.bitsPerElement !== undefined && (
        <span title={`${formatBytes(figures.bytes)}; f16 would take ${formatBytes(figures.f16Bytes)}`}>
          {figures.kvFormat} · {formatBits(figures.bitsPerElement)} bits/element
        </span>
      )}
    </div>
  );
}

/** What an answer shares with what was answered before: its pages of the cache. */
function CachedPages({ node }: { readonly node: ChatNode }) {
  const { cache } = useApp();
  const { cachedTokens, promptTokens } = node.figures ?? {};
  if (!cachedTokens) return null;
  const tokensPerPage = cache.status.value?.pages.tokens_per_page;
  const pages = tokensPerPage === undefined ? 0 : Math.floor(cachedTokens / tokensPerPage);
  return (
    <span class="shared-pages" title="Tokens of the prompt that lay in the cache and were not computed again">
      <Icon name="branch" />
      {pages > 0 && `shares ${plural(pages, 'page')} · `}
      {formatCount(cachedTokens)} of {formatCount(promptTokens)} tokens cached
    </span>
  );
}
