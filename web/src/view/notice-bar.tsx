import { useApp } from '../state/app-state.ts';
import { IconButton } from './icon-button.tsx';

export function NoticeBar() {
  const { notices } = useApp();
  const notice = notices.current.value;
  const act = (): void => {
    notice?.action?.run();
    notices.hide();
  };
  return (
    <div class="notice-place" role="status">
      {notice && (
        <div class="notice">
          <span>{notice.text}</span>
          {notice.action && (
            <button type="button" class="text-button" onClick={act}>
              {notice.action.label}
            </button>
          )}
          <IconButton icon="close" label="Dismiss" onClick={() => notices.hide()} />
        </div>
      )}
    </div>
  );
}
