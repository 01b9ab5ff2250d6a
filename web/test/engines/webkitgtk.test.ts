import { describeEngine } from './scenarios.js';
import { webkitGtk } from './webkitgtk.js';

describeEngine(webkitGtk);
