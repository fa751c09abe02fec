import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  asStored,
  childrenOf,
  chosenPath,
  messagesFor,
  newConversation,
  pathTo,
  ROOT,
  titleOf,
  withChanges,
  withNode,
  withSibling,
  type ChatNode,
  type Conversation,
} from './conversation.ts';

/** A message named by its content, below another one. */
function node(content: string, parent: string, role: ChatNode['role'] = 'user'): ChatNode {
  return { id: content, parent, role, content, state: 'done' };
}

function grown(...nodes: readonly ChatNode[]): Conversation {
  return nodes.reduce((chat, next) => withNode(chat, next, 1), newConversation('c', 0));
}

const CHAT = grown(
  node('a', ROOT),
  node('b', 'a', 'assistant'),
  node('c', 'b'),
  node('d', 'c', 'assistant'),
  node('c2', 'b'),
  node('d2', 'c2', 'assistant'),
);

function shown(chat: Conversation): string {
  return chosenPath(chat)
    .map(({ id }) => id)
    .join(' ');
}

describe('a conversation', () => {
  it('shows the newest branch, and another one when it is chosen', () => {
    assert.equal(shown(CHAT), 'a b c2 d2');
    const [c, c2] = childrenOf(CHAT, 'b');
    const back = withSibling(CHAT, c2, -1);
    assert.equal(shown(back), 'a b c d');
    assert.equal(shown(withSibling(back, c, 1)), 'a b c2 d2');
  });

  it('stays where there is no other branch', () => {
    const [c, c2] = childrenOf(CHAT, 'b');
    assert.equal(withSibling(CHAT, c2, 1), CHAT);
    assert.equal(withSibling(CHAT, c, -1), CHAT);
  });

  it('goes on below what is chosen, and keeps the other branch', () => {
    const back = withSibling(CHAT, childrenOf(CHAT, 'b')[1], -1);
    const longer = withNode(back, node('e', 'd'), 2);
    assert.equal(shown(longer), 'a b c d e');
    assert.equal(shown(withSibling(longer, childrenOf(longer, 'b')[0], 1)), 'a b c2 d2');
  });

  it('branches at its first message', () => {
    assert.equal(shown(withNode(CHAT, node('z', ROOT), 2)), 'z');
  });

  it('sends the path to a message, after the system prompt, and nothing of other branches', () => {
    const chat = { ...CHAT, settings: { ...CHAT.settings, system: ' Be brief. ' } };
    assert.deepEqual(messagesFor(chat, 'c'), [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b' },
      { role: 'user', content: 'c' },
    ]);
    assert.deepEqual(
      pathTo(CHAT, 'd').map(({ id }) => id),
      ['a', 'b', 'c', 'd'],
    );
  });

  it('puts a document before the question, so that every question about it begins alike', () => {
    const document = { name: 'x.txt', text: 'Once upon a time.\n', tokens: 5 };
    const [first, second] = ['Who?', 'Where?'].map((content) => {
      const [message] = messagesFor(grown({ ...node(content, ROOT), document }), content);
      return message.content;
    });
    assert.equal(first, 'Document "x.txt":\n\nOnce upon a time.\n\nEnd of the document.\n\nWho?');
    assert.equal(first.slice(0, -'Who?'.length), second.slice(0, -'Where?'.length));
  });

  it('changes one message only', () => {
    const changed = withChanges(CHAT, 'd', { content: 'D', state: 'stopped' });
    assert.deepEqual(
      changed.nodes.map(({ content }) => content),
      ['a', 'b', 'c', 'D', 'c2', 'd2'],
    );
  });

  it('that is read again has stopped where it streamed', () => {
    const chat = asStored(grown({ ...node('a', ROOT), state: 'streaming' }, node('b', 'a')));
    assert.deepEqual(
      chat.nodes.map(({ state }) => state),
      ['stopped', 'done'],
    );
  });

  it('is named by its first words, or its document', () => {
    assert.equal(titleOf(newConversation('c', 0)), 'New chat');
    assert.equal(titleOf(CHAT), 'a');
    assert.equal(titleOf(grown(node(`${'word '.repeat(30)}`, ROOT))).length, 60);
    const document = { name: 'x.txt', text: 'y', tokens: 1 };
    assert.equal(titleOf(grown({ ...node('', ROOT), document })), 'x.txt');
  });
});
