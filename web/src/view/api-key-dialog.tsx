import { useState } from 'preact/hooks';
import { useApp } from '../state/app-state.ts';
import { Modal } from './modal.tsx';

/** Asks for the key of a server that has one. */
export function ApiKeyDialog() {
  const { key, server, cache } = useApp();
  const [entered, setEntered] = useState('');
  const wasRefused = key.value.value !== undefined;
  const close = (): void => {
    key.asked.value = false;
  };
  const submit = (event: Event): void => {
    event.preventDefault();
    if (entered.trim() === '') return;
    key.set(entered.trim());
    void server.load();
    void cache.look();
  };
  return (
    <Modal label="API key" class="dialog" onClose={close}>
      <form onSubmit={submit}>
        <h2>API key</h2>
        <p>{wasRefused ? 'The server refused this key. Enter another one.' : 'This server asks for a key.'}</p>
        <KeyField value={entered} onInput={setEntered} />
        <p class="hint">It is kept until this tab is closed.</p>
        <div class="dialog-buttons">
          <button type="button" class="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" class="button button-primary">
            Use key
          </button>
        </div>
      </form>
    </Modal>
  );
}

interface KeyFieldProps {
  readonly value: string;
  readonly onInput: (value: string) => void;
}

function KeyField({ value, onInput }: KeyFieldProps) {
  return (
    <label class="field">
      <span>Key</span>
      <input type="password" autocomplete="off" value={value} onInput={(event) => onInput(event.currentTarget.value)} />
    </label>
  );
}
