import { titleOf, type Conversation } from '../chat/conversation.ts';
import { useApp } from '../state/app-state.ts';
import { focusMessageField } from './focus.ts';
import { Icon } from './icon.tsx';
import { IconButton } from './icon-button.tsx';
import { ThemeButton } from './theme-button.tsx';

/** The chats of this browser, and a new one. */
export function ChatList() {
  const { chats, openPanel } = useApp();
  const open = (id: string | undefined): void => {
    chats.open(id);
    openPanel.value = undefined;
    focusMessageField();
  };
  return (
    <div class="chat-list">
      <div class="brand">
        <img src="./favicon.svg" alt="" width="24" height="24" />
        <span>Kvant</span>
      </div>
      <button type="button" class="button new-chat" onClick={() => open(undefined)}>
        <Icon name="plus" />
        New chat
      </button>
      <nav class="chat-nav" aria-label="Chats">
        {chats.chats.value.length > 0 ? (
          <ul>
            {chats.chats.value.map((chat) => (
              <ChatEntry key={chat.id} chat={chat} onOpen={() => open(chat.id)} />
            ))}
          </ul>
        ) : (
          <p class="hint">{chats.loaded.value ? 'Chats stay in this browser.' : 'Reading chats …'}</p>
        )}
      </nav>
      {chats.problem.value !== undefined && <p class="hint warning">{chats.problem.value}</p>}
      <ThemeButton />
    </div>
  );
}

function ChatEntry({ chat, onOpen }: { readonly chat: Conversation; readonly onOpen: () => void }) {
  const { chats, actions, answering, openPanel } = useApp();
  const title = titleOf(chat);
  const isCurrent = chats.currentId.value === chat.id;
  const remove = (): void => {
    // The notice that undoes it is below the drawer.
    openPanel.value = undefined;
    void actions.remove(chat);
  };
  return (
    <li class={isCurrent ? 'chat-entry current' : 'chat-entry'}>
      <button type="button" class="chat-open" aria-current={isCurrent ? 'page' : undefined} onClick={onOpen}>
        <span class="chat-title">{title}</span>
        {answering.in(chat.id) && <span class="working" role="img" aria-label="answering" />}
      </button>
      <IconButton icon="trash" label={`Delete chat: ${title}`} onClick={remove} />
    </li>
  );
}
