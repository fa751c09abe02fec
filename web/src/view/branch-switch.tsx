import { childrenOf, type ChatNode } from '../chat/conversation.ts';
import { useApp } from '../state/app-state.ts';
import { IconButton } from './icon-button.tsx';

/** Goes from one branch to another, where a message has several. */
export function BranchSwitch({ node }: { readonly node: ChatNode }) {
  const { actions, answering, chats } = useApp();
  const chat = chats.current.value;
  const siblings = chat ? childrenOf(chat, node.parent) : [];
  if (!chat || siblings.length < 2) return null;
  const position = siblings.findIndex(({ id }) => id === node.id) + 1;
  const isBusy = answering.in(chat.id) !== undefined;
  return (
    <div class="branch-switch" role="group" aria-label="Branches">
      <IconButton
        icon="previous"
        label="Previous branch"
        disabled={position === 1 || isBusy}
        onClick={() => void actions.chooseSibling(chat, node, -1)}
      />
      <span aria-label={`Branch ${position} of ${siblings.length}`} role="img">
        {position}/{siblings.length}
      </span>
      <IconButton
        icon="next"
        label="Next branch"
        disabled={position === siblings.length || isBusy}
        onClick={() => void actions.chooseSibling(chat, node, 1)}
      />
    </div>
  );
}
