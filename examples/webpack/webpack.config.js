import { copyFileSync, mkdirSync } from 'node:fs';

mkdirSync('dist', { recursive: true });
copyFileSync('index.html', 'dist/index.html');

export default {
  mode: 'production',
  entry: './main.js',
  output: { module: true, filename: 'main.js', publicPath: 'auto' },
  experiments: { outputModule: true },
  performance: { hints: false },
};
