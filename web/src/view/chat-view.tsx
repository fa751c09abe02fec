import { useEffect, useState } from 'preact/hooks';
import { chosenPath, titleOf, type ChatNode } from '../chat/conversation.ts';
import { useApp } from '../state/app-state.ts';
import { Composer, KeyHints } from './composer.tsx';
import { DocumentDrop } from './document-drop.ts';
import { EmptyChat } from './empty-chat.tsx';
import { IconButton } from './icon-button.tsx';
import { focusMessageField } from './focus.ts';
import { Icon } from './icon.tsx';
import { MessageItem } from './message-item.tsx';
import { StickyScroll } from './sticky-scroll.tsx';

/** The chat that is shown. */
export function ChatView() {
  const { chats, api, server } = useApp();
  const chat = chats.current.value;
  const [drop] = useState(() => new DocumentDrop(api, server));
  const path = chat ? chosenPath(chat) : [];
  useEffect(() => drop.clear(), [chat?.id]);
  useEffect(() => {
    // Where there is a keyboard, one can write at once.
    if (matchMedia('(hover: hover)').matches) focusMessageField();
  }, []);
  return (
    <main class={drop.isOver.value ? 'chat drop-target' : 'chat'} {...drop.handlers}>
      <ChatHeader title={chat ? titleOf(chat) : 'New chat'} />
      {path.length > 0 ? <MessageList key={chat?.id} path={path} /> : <NothingSaid />}
      <Composer drop={drop} lastMessage={path.findLast(({ role }) => role === 'user')} />
      <KeyHints />
      {drop.isOver.value && (
        <div class="drop-overlay" aria-hidden="true">
          <Icon name="document" />
          Drop the text here: it becomes part of your next message
        </div>
      )}
    </main>
  );
}

/** A new chat, or one that is still read from the browser's storage. */
function NothingSaid() {
  const { chats } = useApp();
  const isRead = chats.loaded.value || chats.currentId.value === undefined;
  return isRead ? <EmptyChat /> : <div class="scroll-place" />;
}

function ChatHeader({ title }: { readonly title: string }) {
  const { openPanel } = useApp();
  return (
    <header class="chat-header">
      <IconButton
        icon="menu"
        class="only-without-chats"
        label="Show chats"
        expanded={openPanel.value === 'chats'}
        onClick={() => (openPanel.value = 'chats')}
      />
      <h1>{title}</h1>
      <button
        type="button"
        class="button only-without-cache"
        aria-expanded={openPanel.value === 'cache'}
        onClick={() => (openPanel.value = 'cache')}
      >
        <Icon name="cache" />
        Cache
      </button>
    </header>
  );
}

function MessageList({ path }: { readonly path: readonly ChatNode[] }) {
  const { answering, chats } = useApp();
  return (
    <StickyScroll label="Messages" jumpsWith={answering.in(chats.currentId.value)?.nodeId}>
      <ol class="messages">
        {path.map((node) => (
          <MessageItem key={node.id} node={node} />
        ))}
      </ol>
    </StickyScroll>
  );
}
