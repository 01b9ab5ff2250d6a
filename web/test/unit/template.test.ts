// Chat templates: programs that come with a model file, and may be anything.
import { describe, expect, it } from 'vitest';
import { renderJinja } from '../../src/api/template/jinja.js';
import { type StartTemplateWorker, TemplateRenderer } from '../../src/api/template/renderer.js';

describe('renderJinja', () => {
  it('says what is wrong with a template in one sentence', () => {
    expect(renderJinja({ source: "{{ raise_exception('roles must alternate') }}", values: {} })).toEqual({
      error: 'the chat template fails: roles must alternate',
    });
    expect(renderJinja({ source: '{% for m in messages %}', values: { messages: [] } })).toEqual({
      error: expect.stringMatching(/^the chat template cannot be read: \S.*$/),
    });
  });
});

/** A worker that answers with the source backwards, unless it is 'hang' or 'crash'. */
function fakeWorkers(): { start: StartTemplateWorker; closed: () => number; started: () => number } {
  let [started, closed] = [0, 0];
  const start: StartTemplateWorker = (onAnswer, onFailure) => {
    started++;
    return {
      post: ({ source }) => {
        if (source === 'crash') queueMicrotask(() => onFailure('out of memory'));
        else if (source !== 'hang') queueMicrotask(() => onAnswer({ text: source.split('').reverse().join('') }));
      },
      close: () => closed++,
    };
  };
  return { start, closed: () => closed, started: () => started };
}

describe('TemplateRenderer', () => {
  it('renders one after another in one worker', async () => {
    const workers = fakeWorkers();
    const renderer = new TemplateRenderer(workers.start);
    expect(await Promise.all(['abc', 'def'].map((source) => renderer.render(source, {})))).toEqual(['cba', 'fed']);
    expect(workers.started()).toBe(1);
    renderer.close();
    expect(workers.closed()).toBe(1);
  });

  it('stops what takes too long and goes on in another worker', async () => {
    const workers = fakeWorkers();
    const renderer = new TemplateRenderer(workers.start, 10);
    const slow = renderer.render('hang', {});
    const next = renderer.render('abc', {});
    const message = 'the chat template was stopped: it ran for more than 0.01 s';
    await expect(slow).rejects.toMatchObject({ code: 'bad-argument', message });
    expect(await next).toBe('cba');
    expect([workers.started(), workers.closed()]).toEqual([2, 1]);
  });

  it('tells why a worker broke, and starts another', async () => {
    const renderer = new TemplateRenderer(fakeWorkers().start);
    const message = 'the chat template cannot be run: out of memory';
    await expect(renderer.render('crash', {})).rejects.toMatchObject({ code: 'bad-argument', message });
    expect(await renderer.render('abc', {})).toBe('cba');
  });
});
