import { computed, signal } from '@preact/signals';
import { createStore, del, entries, set, type UseStore } from 'idb-keyval';
import { asStored, newConversation, type Conversation } from '../chat/conversation.ts';
import { newId } from '../text/new-id.ts';

const CURRENT_KEY = 'kvant-current-chat';

/** The chats of this browser: in memory as signals, in IndexedDB so that a reload finds them. */
export class ChatStore {
  /** The newest first. */
  readonly chats = signal<readonly Conversation[]>([]);
  /** The chat that is shown; undefined: a new one, which is stored with its first message. */
  readonly currentId = signal<string | undefined>(localStorage.getItem(CURRENT_KEY) ?? undefined);
  readonly current = computed(() => this.chats.value.find(({ id }) => id === this.currentId.value));
  readonly loaded = signal(false);
  /** Why chats are not kept. */
  readonly problem = signal<string | undefined>(undefined);
  #database: UseStore | undefined;

  async load(): Promise<void> {
    try {
      this.#database = createStore('kvant', 'chats');
      const stored = await entries<string, Conversation>(this.#database);
      const chats = stored.map(([, conversation]) => asStored(conversation));
      this.chats.value = chats.sort((a, b) => b.updatedAt - a.updatedAt);
    } catch {
      this.#database = undefined;
      this.problem.value = 'This browser keeps no data for the page: chats are gone with the tab.';
    }
    this.loaded.value = true;
  }

  get(id: string): Conversation | undefined {
    return this.chats.value.find((chat) => chat.id === id);
  }

  open(id: string | undefined): void {
    this.currentId.value = id;
    if (id === undefined) localStorage.removeItem(CURRENT_KEY);
    else localStorage.setItem(CURRENT_KEY, id);
  }

  /** Adds a chat, and shows it. */
  add(settings: Conversation['settings']): Conversation {
    const chat = newConversation(newId(), Date.now(), settings);
    this.chats.value = [chat, ...this.chats.value];
    this.open(chat.id);
    return chat;
  }

  /** Replaces a chat by what `change` makes of it, and stores that. Nothing happens to one that is gone. */
  async update(id: string, change: (chat: Conversation) => Conversation): Promise<void> {
    const chat = this.get(id);
    if (!chat) return;
    const changed = change(chat);
    this.chats.value = this.chats.value.map((other) => (other.id === id ? changed : other));
    await this.#write((database) => set(id, changed, database));
  }

  async remove(id: string): Promise<void> {
    this.chats.value = this.chats.value.filter((chat) => chat.id !== id);
    if (this.currentId.value === id) this.open(undefined);
    await this.#write((database) => del(id, database));
  }

  /** Brings back what `remove` took. */
  async restore(chat: Conversation): Promise<void> {
    this.chats.value = [...this.chats.value, asStored(chat)].sort((a, b) => b.updatedAt - a.updatedAt);
    this.open(chat.id);
    await this.#write((database) => set(chat.id, asStored(chat), database));
  }

  async #write(change: (database: UseStore) => Promise<void>): Promise<void> {
    if (!this.#database) return;
    try {
      await change(this.#database);
    } catch {
      this.problem.value = 'The browser could not store this chat: there may be no room left. It is gone with the tab.';
    }
  }
}
