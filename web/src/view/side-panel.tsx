import type { ComponentChildren } from 'preact';
import { useApp, type Panel } from '../state/app-state.ts';
import { IconButton } from './icon-button.tsx';
import { Modal } from './modal.tsx';
import { useMedia } from './use-media.ts';

export interface SidePanelProps {
  readonly panel: Panel;
  readonly label: string;
  /** Windows that have room for it beside the chat. */
  readonly wide: string;
  readonly children: ComponentChildren;
}

/** What stands beside the chat where there is room, and comes as a drawer where there is none. */
export function SidePanel({ panel, label, wide, children }: SidePanelProps) {
  const { openPanel } = useApp();
  const hasRoom = useMedia(wide);
  if (hasRoom) {
    return (
      <aside class={`panel panel-${panel}`} aria-label={label}>
        {children}
      </aside>
    );
  }
  if (openPanel.value !== panel) return null;
  const close = (): void => {
    openPanel.value = undefined;
  };
  return (
    <Modal label={label} class={`drawer drawer-${panel}`} onClose={close}>
      <div class="drawer-close">
        <IconButton icon="close" label={`Close ${label.toLowerCase()}`} onClick={close} />
      </div>
      {children}
    </Modal>
  );
}
