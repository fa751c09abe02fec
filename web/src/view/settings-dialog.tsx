import { useState } from 'preact/hooks';
import { DEFAULT_SETTINGS, type ChatSettings } from '../chat/conversation.ts';
import { useApp } from '../state/app-state.ts';
import { Modal } from './modal.tsx';

/** How the chat that is shown is answered; takes effect with the next answer. */
export function SettingsDialog({ onClose }: { readonly onClose: () => void }) {
  const { actions } = useApp();
  const [settings, setSettings] = useState(actions.settings());
  const submit = (event: Event): void => {
    event.preventDefault();
    void actions.changeSettings(settings);
    onClose();
  };
  const reset = (): void => setSettings({ ...DEFAULT_SETTINGS, kv: settings.kv });
  return (
    <Modal label="Settings of this chat" class="dialog" onClose={onClose}>
      <form onSubmit={submit}>
        <h2>Settings of this chat</h2>
        <SettingsFields settings={settings} onChange={(changes) => setSettings({ ...settings, ...changes })} />
        <div class="dialog-buttons">
          <button type="button" class="text-button" onClick={reset}>
            Defaults
          </button>
          <span class="spacer" />
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="button button-primary">
            Save
          </button>
        </div>
      </form>
    </Modal>
  );
}

interface SettingsFieldsProps {
  readonly settings: ChatSettings;
  readonly onChange: (changes: Partial<ChatSettings>) => void;
}

function SettingsFields({ settings, onChange }: SettingsFieldsProps) {
  const { server } = useApp();
  return (
    <>
      <label class="field">
        <span>System prompt</span>
        <textarea
          rows={4}
          placeholder="Who the model is, and how it answers"
          value={settings.system}
          onInput={(event) => onChange({ system: event.currentTarget.value })}
        />
      </label>
      <TemperatureField value={settings.temperature} onChange={(temperature) => onChange({ temperature })} />
      <div class="field-row">
        <NumberField
          label="Most tokens of an answer"
          placeholder="no limit"
          min={1}
          max={server.ctx.value}
          value={settings.maxTokens}
          onChange={(maxTokens) => onChange({ maxTokens })}
        />
        <NumberField
          label="Seed"
          placeholder="random"
          min={0}
          max={2 ** 31 - 1}
          value={settings.seed}
          onChange={(seed) => onChange({ seed })}
        />
      </div>
    </>
  );
}

interface TemperatureFieldProps {
  readonly value: number;
  readonly onChange: (value: number) => void;
}

function TemperatureField({ value, onChange }: TemperatureFieldProps) {
  return (
    <label class="field">
      <span class="field-label">
        Temperature <span class="field-value">{value.toFixed(1)}</span>
      </span>
      <input
        type="range"
        min={0}
        max={2}
        step={0.1}
        value={value}
        onInput={(event) => onChange(event.currentTarget.valueAsNumber)}
      />
      <span class="hint">{value === 0 ? 'Always the likeliest word' : 'Higher is more surprising'}</span>
    </label>
  );
}

interface NumberFieldProps {
  readonly label: string;
  readonly placeholder: string;
  readonly min: number;
  readonly max: number | undefined;
  readonly value: number | undefined;
  readonly onChange: (value: number | undefined) => void;
}

function NumberField({ label, placeholder, min, max, value, onChange }: NumberFieldProps) {
  return (
    <label class="field">
      <span>{label}</span>
      <input
        type="number"
        inputMode="numeric"
        step={1}
        min={min}
        max={max}
        placeholder={placeholder}
        value={value ?? ''}
        onInput={(event) => {
          const entered = event.currentTarget.valueAsNumber;
          onChange(Number.isNaN(entered) ? undefined : entered);
        }}
      />
    </label>
  );
}
