import { render } from 'preact';
import { App } from './components/app';
import { Boundary } from './components/boundary';
import { restoreConversation } from './conversation';
import { tuneWhenIdle } from './idle-tuning';
import { openFromAddress } from './model';
import { keepForOffline } from './offline';
import './styles/index.css';

render(
  <Boundary>
    <App />
  </Boundary>,
  document.getElementById('app')!,
);
void restoreConversation();
openFromAddress();
keepForOffline();
tuneWhenIdle();
