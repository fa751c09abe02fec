import { useApp } from '../state/app-state.ts';
import type { ThemeChoice } from '../state/theme.ts';
import { Icon } from './icon.tsx';

const LABELS: Record<ThemeChoice, string> = { system: 'As the system', light: 'Light', dark: 'Dark' };

export function ThemeButton() {
  const { theme } = useApp();
  const choice = theme.choice.value;
  return (
    <button type="button" class="text-button theme-button" onClick={() => theme.next()}>
      <Icon name={choice} />
      <span>
        <span class="visually-hidden">Colours: </span>
        {LABELS[choice]}
      </span>
    </button>
  );
}
