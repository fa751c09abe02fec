import { useEffect, useRef, useState } from 'preact/hooks';
import type { ChatNode } from '../chat/conversation.ts';
import { useApp } from '../state/app-state.ts';
import { focusMessageField } from './focus.ts';

export interface MessageEditorProps {
  readonly node: ChatNode;
  readonly onClose: () => void;
}

/** Edits a message in its place; what is sent becomes a branch beside it. */
export function MessageEditor({ node, onClose }: MessageEditorProps) {
  const { actions, chats } = useApp();
  const [text, setText] = useState(node.content);
  const close = (): void => {
    onClose();
    focusMessageField();
  };
  const submit = (event: Event): void => {
    event.preventDefault();
    const chat = chats.current.value;
    if (!chat || (text.trim() === '' && !node.document)) return;
    close();
    void actions.edit(chat, node, text.trim());
  };
  return (
    <form class="message-editor" aria-label="Edit message" onSubmit={submit}>
      <EditorField value={text} onInput={setText} onEnter={submit} onEscape={close} />
      <p class="hint">This starts a branch. The old one stays, and both share the pages of what they begin with.</p>
      <div class="dialog-buttons">
        <button type="button" class="button" onClick={close}>
          Cancel
        </button>
        <button type="submit" class="button button-primary">
          Send as a branch
        </button>
      </div>
    </form>
  );
}

interface EditorFieldProps {
  readonly value: string;
  readonly onInput: (value: string) => void;
  readonly onEnter: (event: Event) => void;
  readonly onEscape: () => void;
}

function EditorField({ value, onInput, onEnter, onEscape }: EditorFieldProps) {
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => field.current?.focus(), []);
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) onEnter(event);
    if (event.key !== 'Escape') return;
    event.preventDefault();
    onEscape();
  };
  return (
    <textarea
      ref={field}
      rows={2}
      aria-label="Edited message"
      value={value}
      onInput={(event) => onInput(event.currentTarget.value)}
      onKeyDown={onKeyDown}
    />
  );
}
