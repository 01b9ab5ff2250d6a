import { render } from 'preact';
import { App } from './components/app';
import { openFromAddress } from './model';
import './style.css';

openFromAddress();
render(<App />, document.getElementById('app')!);
