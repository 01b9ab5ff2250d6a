export default {
  output: 'export',
  distDir: 'dist',
  turbopack: { root: new URL('../..', import.meta.url).pathname }, // pronk is linked from ../../web
};
