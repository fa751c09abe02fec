import { signal } from '@preact/signals';
import type { ChatDocument } from '../chat/chat-document.ts';
import {
  chosenPath,
  DEFAULT_SETTINGS,
  ROOT,
  titleOf,
  withNode,
  withSibling,
  type ChatNode,
  type ChatSettings,
  type Conversation,
} from '../chat/conversation.ts';
import { newId } from '../text/new-id.ts';
import type { Answering } from './answering.ts';
import type { ChatStore } from './chat-store.ts';
import type { Notices } from './notices.ts';

/** What the user can do with chats. */
export class ChatActions {
  /** Settings of the chat that is not begun yet. */
  readonly newSettings = signal<ChatSettings>(DEFAULT_SETTINGS);
  readonly #chats: ChatStore;
  readonly #answering: Answering;
  readonly #notices: Notices;

  constructor(chats: ChatStore, answering: Answering, notices: Notices) {
    this.#chats = chats;
    this.#answering = answering;
    this.#notices = notices;
  }

  /** Those of the chat that is shown. */
  settings(): ChatSettings {
    return this.#chats.current.value?.settings ?? this.newSettings.value;
  }

  async changeSettings(changes: Partial<ChatSettings>): Promise<void> {
    const id = this.#chats.current.value?.id;
    if (id === undefined) this.newSettings.value = { ...this.newSettings.value, ...changes };
    else await this.#chats.update(id, (chat) => ({ ...chat, settings: { ...chat.settings, ...changes } }));
  }

  /** Says something at the end of the chat that is shown, or begins one. */
  async send(content: string, document: ChatDocument | undefined): Promise<void> {
    const chat = this.#chats.current.value ?? this.#chats.add(this.newSettings.value);
    await this.#say(chat, chosenPath(chat).at(-1)?.id ?? ROOT, content, document);
  }

  /** Says something instead of a message: a branch, which begins with all that stood before it. */
  async edit(chat: Conversation, { parent, document }: ChatNode, content: string): Promise<void> {
    await this.#say(chat, parent, content, document);
  }

  /** Another answer to the same message. */
  async regenerate(chat: Conversation, { parent }: ChatNode): Promise<void> {
    await this.#answering.answer(chat.id, parent);
  }

  async chooseSibling(chat: Conversation, node: ChatNode, step: number): Promise<void> {
    await this.#chats.update(chat.id, (current) => withSibling(current, node, step));
  }

  async remove(chat: Conversation): Promise<void> {
    this.#answering.stop(chat.id);
    await this.#chats.remove(chat.id);
    const undo = { label: 'Undo', run: () => void this.#chats.restore(chat) };
    this.#notices.show({ text: `Deleted “${titleOf(chat)}”.`, action: undo });
  }

  async #say(chat: Conversation, parent: string, content: string, document?: ChatDocument): Promise<void> {
    const node: ChatNode = { id: newId(), parent, role: 'user', content, document, state: 'done' };
    await this.#chats.update(chat.id, (current) => withNode(current, node, Date.now()));
    await this.#answering.answer(chat.id, node.id);
  }
}
