import { signal } from '@preact/signals';
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import { ApiClient } from '../api/api-client.ts';
import { Answering } from './answering.ts';
import { ApiKey } from './api-key.ts';
import { CacheWatch } from './cache-watch.ts';
import { ChatActions } from './chat-actions.ts';
import { ChatStore } from './chat-store.ts';
import { Notices } from './notices.ts';
import { ServerInfo } from './server-info.ts';
import { SpeedHistory } from './speed-history.ts';
import { Theme } from './theme.ts';

/** Panels beside the chat, which narrow windows show one at a time. */
export type Panel = 'chats' | 'cache';

/** All that the page knows, made once and given to the components by context. */
export interface AppState {
  readonly api: ApiClient;
  readonly key: ApiKey;
  readonly server: ServerInfo;
  readonly chats: ChatStore;
  readonly answering: Answering;
  readonly actions: ChatActions;
  readonly cache: CacheWatch;
  readonly speed: SpeedHistory;
  readonly theme: Theme;
  readonly notices: Notices;
  readonly openPanel: ReturnType<typeof signal<Panel | undefined>>;
}

export function createAppState(): AppState {
  const key = new ApiKey();
  const api = new ApiClient(
    () => key.value.value,
    () => (key.asked.value = true),
  );
  const server = new ServerInfo(api);
  const chats = new ChatStore();
  const speed = new SpeedHistory();
  const notices = new Notices();
  const answering = new Answering(api, chats, server, speed);
  return {
    ...{ api, key, server, chats, answering, speed, notices },
    actions: new ChatActions(chats, answering, notices),
    cache: new CacheWatch(api, () => answering.isBusy.value),
    theme: new Theme(),
    openPanel: signal<Panel | undefined>(undefined),
  };
}

const AppContext = createContext<AppState | undefined>(undefined);

export const AppProvider = AppContext.Provider;

export function useApp(): AppState {
  const state = useContext(AppContext);
  if (!state) throw new RangeError('a component outside of AppProvider');
  return state;
}
