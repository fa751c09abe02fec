import { signal } from '@preact/signals';

const STORAGE_KEY = 'kvant-api-key';

/** The key that the server asks for: it lives as long as the tab. */
export class ApiKey {
  readonly value = signal<string | undefined>(sessionStorage.getItem(STORAGE_KEY) ?? undefined);
  /** Whether the server has refused the key, or none. */
  readonly asked = signal(false);

  set(key: string): void {
    sessionStorage.setItem(STORAGE_KEY, key);
    this.value.value = key;
    this.asked.value = false;
  }
}
