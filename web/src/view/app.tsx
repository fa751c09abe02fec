import { useEffect } from 'preact/hooks';
import { useApp } from '../state/app-state.ts';
import { ApiKeyDialog } from './api-key-dialog.tsx';
import { CachePanel } from './cache-panel.tsx';
import { ChatList } from './chat-list.tsx';
import { ChatView } from './chat-view.tsx';
import { LiveAnswer } from './live-answer.tsx';
import { NoticeBar } from './notice-bar.tsx';
import { SidePanel } from './side-panel.tsx';

export const WIDE_FOR_CHATS = '(min-width: 760px)';
export const WIDE_FOR_CACHE = '(min-width: 1120px)';

export function App() {
  const { key, answering, chats } = useApp();
  useEffect(() => {
    const stopOnEscape = (event: KeyboardEvent): void => {
      const id = chats.currentId.value;
      // Escape in a dialog closes the dialog.
      if (event.key !== 'Escape' || event.defaultPrevented || id === undefined) return;
      if (document.querySelector('dialog[open]') === null) answering.stop(id);
    };
    document.addEventListener('keydown', stopOnEscape);
    return () => document.removeEventListener('keydown', stopOnEscape);
  }, []);
  return (
    <>
      <a class="skip-link" href="#message">
        Skip to the message field
      </a>
      <div class="app">
        <SidePanel panel="chats" label="Chats" wide={WIDE_FOR_CHATS}>
          <ChatList />
        </SidePanel>
        <ChatView />
        <SidePanel panel="cache" label="Cache" wide={WIDE_FOR_CACHE}>
          <CachePanel />
        </SidePanel>
      </div>
      <NoticeBar />
      <LiveAnswer />
      {key.asked.value && <ApiKeyDialog />}
    </>
  );
}
