import { useRef, useState } from 'preact/hooks';
import { chosenPath, type ChatNode } from '../chat/conversation.ts';
import { useApp } from '../state/app-state.ts';
import { formatCount, plural } from '../text/figures.ts';
import type { DocumentDrop } from './document-drop.ts';
import { MESSAGE_FIELD_ID } from './focus.ts';
import { IconButton } from './icon-button.tsx';
import { Icon } from './icon.tsx';
import { KvSelect } from './kv-select.tsx';
import { SettingsDialog } from './settings-dialog.tsx';

const KEY_HINTS_ID = 'message-keys';

export interface ComposerProps {
  readonly drop: DocumentDrop;
  /** The user's last message, which the up arrow edits. */
  readonly lastMessage: ChatNode | undefined;
}

/** Where messages are written, and what they are answered with. */
export function Composer({ drop, lastMessage }: ComposerProps) {
  const { actions, answering, chats, server } = useApp();
  const [text, setText] = useState('');
  const [hasSettings, setHasSettings] = useState(false);
  const running = answering.in(chats.currentId.value);
  const canSend = !running && server.model.value !== undefined && drop.reading.value === undefined;
  const hasContent = text.trim() !== '' || drop.document.value !== undefined;
  const submit = (event: Event): void => {
    event.preventDefault();
    if (!canSend || !hasContent) return;
    const document = drop.document.value;
    drop.clear();
    setText('');
    void actions.send(text.trim(), document);
  };
  return (
    <>
      <form class="composer" onSubmit={submit} aria-label="Message">
        <Attachment drop={drop} />
        <MessageField value={text} lastMessage={lastMessage} onInput={setText} onEnter={submit} />
        <div class="composer-tools">
          <AttachButton drop={drop} />
          <KvSelect />
          <IconButton icon="settings" label="Settings of this chat" onClick={() => setHasSettings(true)} />
          <ContextUse />
          {running ? (
            <IconButton icon="stop" class="send" label="Stop" onClick={() => answering.stop(running.chatId)} />
          ) : (
            <SendButton disabled={!canSend || !hasContent} />
          )}
        </div>
      </form>
      {hasSettings && <SettingsDialog onClose={() => setHasSettings(false)} />}
    </>
  );
}

interface MessageFieldProps {
  readonly value: string;
  readonly lastMessage: ChatNode | undefined;
  readonly onInput: (value: string) => void;
  readonly onEnter: (event: Event) => void;
}

function MessageField({ value, lastMessage, onInput, onEnter }: MessageFieldProps) {
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) onEnter(event);
    if (event.key !== 'ArrowUp' || value !== '' || !lastMessage) return;
    document.querySelector<HTMLElement>(`[data-edit="${lastMessage.id}"]`)?.click();
    event.preventDefault();
  };
  return (
    <textarea
      id={MESSAGE_FIELD_ID}
      rows={1}
      aria-label="Message"
      aria-describedby={KEY_HINTS_ID}
      placeholder="Ask something"
      value={value}
      onInput={(event) => onInput(event.currentTarget.value)}
      onKeyDown={onKeyDown}
    />
  );
}

function SendButton({ disabled }: { readonly disabled: boolean }) {
  return (
    <button type="submit" class="icon-button send" aria-label="Send" title="Send" disabled={disabled}>
      <Icon name="send" />
    </button>
  );
}

function AttachButton({ drop }: { readonly drop: DocumentDrop }) {
  const input = useRef<HTMLInputElement>(null);
  const onChange = (): void => {
    const element = input.current;
    if (!element) return;
    void drop.take([...(element.files ?? [])]);
    element.value = '';
  };
  return (
    <>
      <IconButton icon="attach" label="Add a document" onClick={() => input.current?.click()} />
      <input ref={input} type="file" hidden aria-label="Document" onChange={onChange} />
    </>
  );
}

function Attachment({ drop }: { readonly drop: DocumentDrop }) {
  const { document, problem, reading } = drop;
  return (
    <div class="attachment-place" role="status">
      {reading.value !== undefined && <div class="attachment">Reading {reading.value} …</div>}
      {document.value && (
        <div class="attachment">
          <Icon name="document" />
          <span class="attachment-name">{document.value.name}</span>
          <span class="hint">{plural(document.value.tokens, 'token')}</span>
          <IconButton icon="close" label={`Remove ${document.value.name}`} onClick={() => drop.clear()} />
        </div>
      )}
      {problem.value !== undefined && (
        <div class="attachment problem">
          <Icon name="warning" />
          <span>{problem.value}</span>
          <IconButton icon="close" label="Dismiss" onClick={() => drop.clear()} />
        </div>
      )}
    </div>
  );
}

/** How much of the context the chat takes, after its newest answer. */
function ContextUse() {
  const { chats, server } = useApp();
  const ctx = server.ctx.value;
  const path = chats.current.value ? chosenPath(chats.current.value) : [];
  const figures = path.findLast((node) => node.figures?.promptTokens !== undefined)?.figures;
  if (ctx === undefined) return <span class="context-use" />;
  const used = (figures?.promptTokens ?? 0) + (figures?.completionTokens ?? 0);
  return (
    <span
      class={used > ctx * 0.9 ? 'context-use nearly-full' : 'context-use'}
      title="Tokens of the context that this chat takes"
    >
      {formatCount(used)} / {formatCount(ctx)}
      <span class="visually-hidden"> tokens of context</span>
    </span>
  );
}

/** What the keyboard does; always there, as what moves under the pointer is not clicked. */
export function KeyHints() {
  return (
    <p id={KEY_HINTS_ID} class="keys">
      <kbd>Enter</kbd> sends, <kbd>Shift</kbd> <kbd>Enter</kbd> breaks the line, <kbd>↑</kbd> edits your last message,{' '}
      <kbd>Esc</kbd> stops the answer
    </p>
  );
}
