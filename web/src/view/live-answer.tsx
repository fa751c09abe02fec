import { useSignalEffect } from '@preact/signals';
import { useRef, useState } from 'preact/hooks';
import { useApp } from '../state/app-state.ts';
import { nextSentences } from '../text/announcement.ts';

/** Least time between two announcements: what comes meanwhile is told with the next one. */
const PAUSE_MS = 1500;

/** Tells screen readers the answer of the chat that is shown, in whole sentences, and how it ended. */
export function LiveAnswer() {
  const { answering, chats } = useApp();
  const [message, setMessage] = useState('');
  const last = useRef({ nodeId: '', text: '', told: 0, atMs: 0 });
  useSignalEffect(() => {
    const answer = answering.in(chats.currentId.value);
    const state = last.current;
    const now = performance.now();
    if (answer && answer.nodeId !== state.nodeId) {
      last.current = { nodeId: answer.nodeId, text: '', told: 0, atMs: now };
      setMessage('Answering.');
    } else if (answer) {
      state.text = answer.text.value;
      if (now - state.atMs < PAUSE_MS) return;
      const { sentences, told } = nextSentences(state.text, state.told);
      if (sentences) setMessage(sentences);
      Object.assign(state, { told, atMs: now });
    } else if (state.nodeId) {
      const node = chats.current.value?.nodes.find(({ id }) => id === state.nodeId);
      if (!node || node.state === 'streaming') return;
      const rest = node.content.slice(state.told).trim();
      state.nodeId = '';
      setMessage(`${rest} ${ENDINGS[node.state]}${node.problem ? ` ${node.problem}` : ''}`);
    }
  });
  return (
    <div class="visually-hidden" role="status" aria-live="polite">
      {message}
    </div>
  );
}

const ENDINGS = { done: 'End of the answer.', stopped: 'Stopped.', failed: 'The answer failed.' };
