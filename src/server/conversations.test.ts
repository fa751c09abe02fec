import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Chat, ChatMessage } from '../engine/types.ts';
import { Conversations } from './conversations.ts';

const user = (content: string): ChatMessage => ({ role: 'user', content });
const system: ChatMessage = { role: 'system', content: 'Be brief.' };

/** Chats that remember what tests say was said, and when they were cleared. */
function world(limits: { mostPerTenant?: number; idleMs?: number } = {}) {
  let nowMs = 0;
  let numCleared = 0;
  const chats: { messages: ChatMessage[] }[] = [];
  const chat = ({ system: text }: { readonly system?: string } = {}): Chat => {
    const made = { messages: text === undefined ? [] : [{ role: 'system' as const, content: text }] };
    chats.push(made);
    return Object.assign(made, { clear: async () => void (numCleared += 1) }) as unknown as Chat;
  };
  const conversations = new Conversations({ chat }, { mostPerTenant: 2, idleMs: 1000, ...limits }, () => nowMs);
  /** A turn whose answer comes at once. */
  const say = (name: string, messages: readonly ChatMessage[], tenant = 'a'): number => {
    const turn = conversations.take(tenant, name, messages);
    const held = turn.chat as unknown as { messages: ChatMessage[] };
    held.messages = [...held.messages, user(turn.content), { role: 'assistant', content: 'Yes.' }];
    turn.end();
    return turn.number;
  };
  return { conversations, say, wait: (ms: number) => (nowMs += ms), cleared: () => numCleared };
}

const mismatch = { statusCode: 400, code: 'conversation_mismatch' };

describe('conversations', () => {
  it('go on with the new message alone, or with all of them', () => {
    const { say } = world();
    assert.equal(say('talk', [system, user('One?')]), 1);
    assert.equal(say('talk', [user('Two?')]), 2);
    const whole: ChatMessage[] = [system, user('One?'), { role: 'assistant', content: 'Yes.' }, user('Two?')];
    assert.equal(say('talk', [...whole, { role: 'assistant', content: 'Yes.' }, user('Three?')]), 3);
  });

  it('refuse messages that are not theirs', () => {
    const { say } = world();
    assert.throws(() => say('talk', [user('One?'), { role: 'assistant', content: 'No.' }, user('Two?')]), mismatch);
    say('talk', [user('One?')]);
    assert.throws(() => say('talk', [user('Other?'), { role: 'assistant', content: 'Yes.' }, user('Two?')]), mismatch);
    assert.throws(() => say('talk', [system, user('Two?')]), mismatch);
    assert.throws(() => say('talk', [system]), {
      code: 'invalid_value',
      message: /last message .* must be the user's$/,
    });
  });

  it('answer one message at a time', () => {
    const { conversations, say } = world();
    const turn = conversations.take('a', 'talk', [user('One?')]);
    assert.throws(() => say('talk', [user('Two?')]), { statusCode: 409, code: 'conversation_busy' });
    turn.end();
    say('talk', [user('Two?')]);
  });

  it('belong to their tenants', () => {
    const { say } = world();
    assert.equal(say('talk', [user('One?')], 'a'), 1);
    assert.equal(say('talk', [user('One?')], 'b'), 1);
    assert.equal(say('talk', [user('Two?')], 'a'), 2);
  });

  it('go when a tenant has too many, the one that was not used for longest first, but never one that answers', () => {
    const { conversations, say, cleared } = world();
    const answering = conversations.take('a', 'first', [user('One?')]);
    for (const name of ['second', 'third']) say(name, [user('One?')]);
    say('other', [user('One?')], 'b');
    assert.deepEqual([conversations.size, cleared()], [3, 1]);
    assert.equal(say('third', [user('Two?')]), 2);
    answering.end();
    assert.equal(say('second', [user('One?')]), 1, 'it was forgotten');
  });

  it('go when nobody uses them', () => {
    const { conversations, say, wait, cleared } = world();
    say('old', [user('One?')]);
    wait(600);
    say('new', [user('One?')]);
    wait(600);
    conversations.forgetIdle();
    assert.deepEqual([conversations.size, cleared()], [1, 1]);
    assert.equal(say('new', [user('Two?')]), 2);
  });
});
