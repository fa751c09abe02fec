import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';

export interface ModalProps {
  readonly label: string;
  readonly class: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}

/** A dialog over the page as long as it is rendered: the browser keeps the focus in it, closes it on Escape, and gives the focus back. */
export function Modal({ label, class: className, onClose, children }: ModalProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const before = document.activeElement;
    const element = dialog.current;
    element?.showModal();
    return () => {
      element?.close();
      // Not by the browser, where the dialog is taken out of the page at once.
      if (before instanceof HTMLElement) queueMicrotask(() => before.focus());
    };
  }, []);
  const closeOnBackdrop = (event: MouseEvent): void => {
    if (event.target === dialog.current) onClose();
  };
  const closeOnCancel = (event: Event): void => {
    event.preventDefault();
    onClose();
  };
  return (
    <dialog ref={dialog} class={className} aria-label={label} onCancel={closeOnCancel} onMouseDown={closeOnBackdrop}>
      {children}
    </dialog>
  );
}
