import { renderJinja, type TemplateValues } from './jinja';

addEventListener('message', ({ data }: MessageEvent<{ source: string; values: TemplateValues }>) => {
  postMessage(renderJinja(data.source, data.values));
});
postMessage('ready');
