import { useState } from 'preact/hooks';
import type { ChatNode } from '../chat/conversation.ts';
import { useApp } from '../state/app-state.ts';
import { plural } from '../text/figures.ts';
import { AnswerNote } from './answer-note.tsx';
import { BranchSwitch } from './branch-switch.tsx';
import { CopyButton } from './copy-button.tsx';
import { IconButton } from './icon-button.tsx';
import { Icon } from './icon.tsx';
import { Markdown } from './markdown.tsx';
import { MessageEditor } from './message-editor.tsx';

/** A message of the chat, and what can be done with it. */
export function MessageItem({ node }: { readonly node: ChatNode }) {
  return node.role === 'user' ? <UserMessage node={node} /> : <Answer node={node} />;
}

function UserMessage({ node }: { readonly node: ChatNode }) {
  const { answering, chats } = useApp();
  const [isEditing, setIsEditing] = useState(false);
  const isBusy = answering.in(chats.currentId.value) !== undefined;
  return (
    <li class="message user">
      <h2 class="visually-hidden">You</h2>
      {node.document && (
        <div class="message-document">
          <Icon name="document" />
          <span class="attachment-name">{node.document.name}</span>
          <span class="hint">{plural(node.document.tokens, 'token')}</span>
        </div>
      )}
      {isEditing ? (
        <MessageEditor node={node} onClose={() => setIsEditing(false)} />
      ) : (
        <>
          {node.content && <div class="bubble">{node.content}</div>}
          <div class="message-tools">
            <BranchSwitch node={node} />
            <button
              type="button"
              class="icon-button"
              aria-label="Edit message"
              title="Edit message"
              data-edit={node.id}
              disabled={isBusy}
              onClick={() => setIsEditing(true)}
            >
              <Icon name="edit" />
            </button>
            {node.content && <CopyButton text={node.content} what="message" />}
          </div>
        </>
      )}
    </li>
  );
}

function Answer({ node }: { readonly node: ChatNode }) {
  const { actions, answering, chats } = useApp();
  const running = answering.in(chats.currentId.value);
  const isRunning = running?.nodeId === node.id;
  const text = isRunning ? running.text.value : node.content;
  const again = (): void => {
    if (chats.current.value) void actions.regenerate(chats.current.value, node);
  };
  return (
    <li class="message answer" aria-busy={isRunning}>
      <h2 class="visually-hidden">Answer</h2>
      {isRunning && text === '' && (
        <div class="thinking">
          <span class="working" /> Reading the prompt …
        </div>
      )}
      <Markdown text={text} />
      {node.state === 'failed' && (
        <div class="answer-problem">
          <Icon name="warning" />
          <span>{node.problem}</span>
          <button type="button" class="button" onClick={again}>
            <Icon name="retry" />
            Try again
          </button>
        </div>
      )}
      {!isRunning && (
        <>
          <AnswerNote node={node} />
          <div class="message-tools">
            <BranchSwitch node={node} />
            {node.content && <CopyButton text={node.content} what="answer" />}
            <IconButton icon="retry" label="Answer again" disabled={running !== undefined} onClick={again} />
          </div>
        </>
      )}
    </li>
  );
}
