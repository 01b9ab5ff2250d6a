import { defineConfig, type Plugin } from 'vite';
import { offline } from './offline';

// While the page is developed, Vite puts styles into it by script, which its policy forbids.
const withoutPolicy: Plugin = {
  name: 'without-policy',
  apply: 'serve',
  transformIndexHtml: (html) => html.replace(/<meta\s+http-equiv="Content-Security-Policy"[^>]*>/, ''),
};

// The headers that the real server sends too: with them the engine has threads.
const headers = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

export default defineConfig({
  base: './',
  plugins: [withoutPolicy, offline()],
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    // What loads when it is first needed is told apart by its name from what every visit loads.
    rolldownOptions: { output: { chunkFileNames: 'assets/lazy-[name]-[hash].js' } },
  },
  server: { headers },
  preview: { headers },
});
