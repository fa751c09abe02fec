import { signal } from '@preact/signals';

export interface Notice {
  readonly text: string;
  /** What can be done about it. */
  readonly action?: { readonly label: string; readonly run: () => void };
}

const SHOWN_MS = 8000;

/** A short message at the edge of the page, which goes by itself. */
export class Notices {
  readonly current = signal<Notice | undefined>(undefined);
  #timer: ReturnType<typeof setTimeout> | undefined;

  show(notice: Notice): void {
    clearTimeout(this.#timer);
    this.current.value = notice;
    this.#timer = setTimeout(() => this.hide(), SHOWN_MS);
  }

  hide(): void {
    clearTimeout(this.#timer);
    this.current.value = undefined;
  }
}
