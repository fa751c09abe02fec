export const MESSAGE_FIELD_ID = 'message';

/** Puts the focus where the next message is written, once what changes now is drawn. */
export function focusMessageField(): void {
  requestAnimationFrame(() => document.getElementById(MESSAGE_FIELD_ID)?.focus());
}
