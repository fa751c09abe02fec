import { useState } from 'preact/hooks';
import { useApp } from '../state/app-state.ts';
import { IconButton } from './icon-button.tsx';

const SHOWN_MS = 1500;

export function CopyButton({ text, what }: { readonly text: string; readonly what: string }) {
  const { notices } = useApp();
  const [isCopied, setIsCopied] = useState(false);
  const copy = async (): Promise<void> => {
    try {
      // Absent where the page comes neither over https nor from loopback.
      await navigator.clipboard.writeText(text);
      setIsCopied(true);
      setTimeout(() => setIsCopied(false), SHOWN_MS);
    } catch {
      notices.show({ text: 'The browser did not allow to copy. Mark the text and copy it with the keyboard.' });
    }
  };
  return (
    <IconButton
      icon={isCopied ? 'check' : 'copy'}
      label={isCopied ? 'Copied' : `Copy ${what}`}
      onClick={() => void copy()}
    />
  );
}
