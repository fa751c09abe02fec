import { useApp } from '../state/app-state.ts';

/** Chooses the format of the cache for the chat that is shown. */
export function KvSelect() {
  const { actions, server } = useApp();
  const formats = server.kvFormats.value;
  const chosen = actions.settings().kv ?? server.defaultKv.value ?? '';
  return (
    <label class="kv-select" title="Format of this chat's KV cache">
      <span>KV</span>
      <select
        aria-label="KV format"
        value={chosen}
        disabled={formats.length === 0}
        onChange={(event) => void actions.changeSettings({ kv: event.currentTarget.value })}
      >
        {!formats.includes(chosen) && <option value={chosen}>{chosen || '…'}</option>}
        {formats.map((format) => (
          <option key={format} value={format}>
            {format}
          </option>
        ))}
      </select>
    </label>
  );
}
