import { chromium } from './chromium.js';
import { describeEngine } from './scenarios.js';

describeEngine(chromium);
