// Leaves the core that Dawn's polling would keep busy to SwiftShader.
import { pollByTimer } from '../../src/runtime/gpu-polling.js';

pollByTimer();
