import { useApp } from '../state/app-state.ts';

const EXAMPLES = [
  'Why is the sky blue?',
  'Write a short poem about the sea.',
  'Explain what a cache is to a child.',
  'Name three rivers and where they end.',
];

/** What a chat shows before its first message. */
export function EmptyChat() {
  const { server } = useApp();
  const { model, problem } = server;
  return (
    <div class="scroll-place">
      <div class="empty-chat">
        {problem.value === undefined ? (
          <>
            <h2>{model.value ? `Chat with ${model.value.id}` : 'Connecting …'}</h2>
            <p>
              Ask something, or drop in a text and ask about it. The cache panel shows what the model keeps of it, and
              in how many bits.
            </p>
            <Examples />
          </>
        ) : (
          <>
            <h2>No model to chat with</h2>
            <p role="alert">{problem.value}</p>
            <button type="button" class="button button-primary" onClick={() => void server.load()}>
              Try again
            </button>
          </>
        )}
      </div>
    </div>
  );
}

function Examples() {
  const { server, actions } = useApp();
  return (
    <ul class="examples">
      {EXAMPLES.map((example) => (
        <li key={example}>
          <button
            type="button"
            class="example"
            disabled={!server.model.value}
            onClick={() => void actions.send(example, undefined)}
          >
            {example}
          </button>
        </li>
      ))}
    </ul>
  );
}
