import { effect, signal } from '@preact/signals';

export type ThemeChoice = 'system' | 'light' | 'dark';

const STORAGE_KEY = 'kvant-theme';
const CHOICES: readonly ThemeChoice[] = ['system', 'light', 'dark'];

/** Light, dark, or as the system has it. */
export class Theme {
  readonly choice = signal<ThemeChoice>(
    CHOICES.find((choice) => choice === localStorage.getItem(STORAGE_KEY)) ?? 'system',
  );

  constructor() {
    effect(() => {
      document.documentElement.dataset.theme = this.choice.value;
      localStorage.setItem(STORAGE_KEY, this.choice.value);
    });
  }

  next(): void {
    this.choice.value = CHOICES[(CHOICES.indexOf(this.choice.value) + 1) % CHOICES.length];
  }
}
