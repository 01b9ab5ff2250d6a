import { firefox } from './firefox.js';
import { describeEngine } from './scenarios.js';

describeEngine(firefox);
