// The pretend tools of the chat page.
import { describe, expect, it } from 'vitest';
import { runTool, splitCall, tools } from '../../../demo/src/tools.js';

describe('splitCall', () => {
  it('finds a call and what is said before it', () => {
    const call = { name: 'get_time', arguments: { city: 'Oslo' } };
    const text = `<tool_call>${JSON.stringify(call)}</tool_call>`;
    expect(splitCall(text)).toEqual({ before: '', call });
    expect(splitCall(`Let me look. \n${text}`)).toEqual({ before: 'Let me look.', call });
    expect(splitCall(`<tool_call>\n${JSON.stringify(call)}\n</tool_call>\n`)).toEqual({ before: '', call });
  });

  it('finds none in what is not one', () => {
    const half = '<tool_call>{"name": "get_time", "argu';
    const wrong = ['<tool_call>{"name": 7}</tool_call>', '<tool_call>{oops}</tool_call>', '{"name": "x"}'];
    for (const text of ['', 'Hello', half, ...wrong]) {
      expect(splitCall(text)).toBeNull();
    }
  });
});

describe('runTool', () => {
  it('answers in JSON for each tool that is offered, the same for a city each time', () => {
    for (const { name } of tools) {
      const said = runTool({ name, arguments: { city: 'Paris "x"' } });
      expect(JSON.parse(said)).toMatchObject({ city: 'Paris "x"' });
    }
    const weather = (city: string): string => runTool({ name: 'get_weather', arguments: { city } });
    expect(weather('Rome')).toBe(weather('Rome'));
    expect(weather('Rome')).toMatch(/^\{"city": "Rome", "weather": "[a-z]+", "temperature": \d+\}$/);
    expect(JSON.parse(runTool({ name: 'other', arguments: {} }))).toEqual({ error: 'there is no tool other' });
  });

  it('knows the time of cities that time zones are named after', () => {
    const now = new Date().toLocaleTimeString('en-GB', { timeZone: 'Asia/Tokyo', hour: '2-digit', minute: '2-digit' });
    const said = (JSON.parse(runTool({ name: 'get_time', arguments: { city: 'Tokyo' } })) as { time: string }).time;
    const minutes = (time: string): number => Number(time.slice(0, 2)) * 60 + Number(time.slice(3));
    expect((minutes(said) - minutes(now) + 1440) % 1440).toBeLessThanOrEqual(1);
  });
  it('does not know the time of other cities, and says no time then', () => {
    for (const city of ['Springfield', 'Atlantis', '', 'o', 'Europe/Paris/x']) {
      const said: unknown = JSON.parse(runTool({ name: 'get_time', arguments: { city } }));
      expect(said).toEqual({ city, error: 'the time in this city is not known' });
    }
  });
});
