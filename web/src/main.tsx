import { render } from 'preact';
import './styles/tokens.css';
import './styles/base.css';
import './styles/layout.css';
import './styles/chat.css';
import './styles/markdown.css';
import './styles/cache.css';
import { AppProvider, createAppState } from './state/app-state.ts';
import { App } from './view/app.tsx';

const root = document.getElementById('app');
if (!root) throw new RangeError('index.html has no #app');

const state = createAppState();
void state.server.load();
void state.chats.load();
state.cache.start();
render(
  <AppProvider value={state}>
    <App />
  </AppProvider>,
  root,
);
