import { render } from 'preact';
import { App } from './components/app';
import { openFromAddress } from './model';
import './style.css';

render(<App />, document.getElementById('app')!);
openFromAddress();
