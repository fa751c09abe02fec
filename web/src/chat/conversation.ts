import type { AnswerFigures, SentMessage } from '../api/answer-stream.ts';
import { withDocument, type ChatDocument } from './chat-document.ts';

/**
 * A conversation is a tree: an edited message and a new answer are siblings of what was there before, and one of each group of siblings
 * is chosen. The functions here change nothing; they return another conversation.
 */
export interface Conversation {
  readonly id: string;
  readonly createdAt: number;
  readonly updatedAt: number;
  /** Parents before their children. */
  readonly nodes: readonly ChatNode[];
  /** The chosen child by its parent's id, `ROOT` for those without one. The newest where nothing stands. */
  readonly chosen: Readonly<Record<string, string>>;
  readonly settings: ChatSettings;
}

export interface ChatNode {
  readonly id: string;
  readonly parent: string;
  readonly role: 'user' | 'assistant';
  readonly content: string;
  readonly document?: ChatDocument | undefined;
  readonly state: 'streaming' | 'done' | 'stopped' | 'failed';
  /** Why a failed answer failed. */
  readonly problem?: string | undefined;
  /** As the server calls it: `stop`, `length`. */
  readonly finishReason?: string | undefined;
  readonly figures?: AnswerFigures | undefined;
}

/** What a chat asks the model with. */
export interface ChatSettings {
  /** The server's own where undefined. */
  readonly kv: string | undefined;
  readonly temperature: number;
  readonly maxTokens: number | undefined;
  readonly seed: number | undefined;
  readonly system: string;
}

export const DEFAULT_SETTINGS: ChatSettings = {
  kv: undefined,
  temperature: 0.3,
  maxTokens: undefined,
  seed: undefined,
  system: '',
};

/** The parent of first messages. */
export const ROOT = 'root';

const TITLE_LENGTH = 60;

export function newConversation(id: string, now: number, settings = DEFAULT_SETTINGS): Conversation {
  return { id, createdAt: now, updatedAt: now, nodes: [], chosen: {}, settings };
}

/** The first words of the conversation. */
export function titleOf({ nodes }: Conversation): string {
  const [first] = nodes;
  if (!first) return 'New chat';
  const text = (first.content || (first.document?.name ?? '')).trim().replace(/\s+/g, ' ');
  return text.length > TITLE_LENGTH ? `${text.slice(0, TITLE_LENGTH - 1).trimEnd()}…` : text;
}

export function childrenOf({ nodes }: Conversation, parent: string): readonly ChatNode[] {
  return nodes.filter((node) => node.parent === parent);
}

/** The messages that are shown: from the first one on, the chosen child of each. */
export function chosenPath(conversation: Conversation): readonly ChatNode[] {
  const path: ChatNode[] = [];
  for (let parent = ROOT; ;) {
    const children = childrenOf(conversation, parent);
    const next = children.find(({ id }) => id === conversation.chosen[parent]) ?? children.at(-1);
    if (!next) return path;
    path.push(next);
    parent = next.id;
  }
}

/** A node and what came before it, the first message first. */
export function pathTo({ nodes }: Conversation, id: string): readonly ChatNode[] {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const path: ChatNode[] = [];
  for (let node = byId.get(id); node; node = byId.get(node.parent)) path.unshift(node);
  return path;
}

/** Adds a node and chooses it. */
export function withNode(conversation: Conversation, node: ChatNode, now: number): Conversation {
  return {
    ...conversation,
    updatedAt: now,
    nodes: [...conversation.nodes, node],
    chosen: { ...conversation.chosen, [node.parent]: node.id },
  };
}

export function withChanges(conversation: Conversation, id: string, changes: Partial<ChatNode>): Conversation {
  return {
    ...conversation,
    nodes: conversation.nodes.map((node) => (node.id === id ? { ...node, ...changes } : node)),
  };
}

/** Chooses the sibling that stands `step` places further; the same conversation where there is none. */
export function withSibling(conversation: Conversation, { id, parent }: ChatNode, step: number): Conversation {
  const siblings = childrenOf(conversation, parent);
  const sibling = siblings[siblings.findIndex((node) => node.id === id) + step];
  return sibling ? { ...conversation, chosen: { ...conversation.chosen, [parent]: sibling.id } } : conversation;
}

/** What the server gets to answer a message: the system's text, and everything up to that message. */
export function messagesFor(conversation: Conversation, id: string): readonly SentMessage[] {
  const system = conversation.settings.system.trim();
  return [
    ...(system ? [{ role: 'system' as const, content: system }] : []),
    ...pathTo(conversation, id).map(({ role, content, document }) => ({
      role,
      content: document ? withDocument(document, content) : content,
    })),
  ];
}

/** A conversation as it was stored: what streamed when the page went away has stopped. */
export function asStored(conversation: Conversation): Conversation {
  const nodes = conversation.nodes.map((node) =>
    node.state === 'streaming' ? { ...node, state: 'stopped' as const } : node,
  );
  return { ...conversation, nodes };
}
