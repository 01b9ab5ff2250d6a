// The pretend tools of the chat page.
import { describe, expect, it } from 'vitest';
import { runTool, tools } from '../../../demo/src/tools.js';

const callOf = (name: string, given: unknown) => ({
  id: 'call_1',
  type: 'function' as const,
  function: { name, arguments: typeof given === 'string' ? given : JSON.stringify(given) },
});

describe('runTool', () => {
  it('answers in JSON for each tool that is offered, the same for a city each time', () => {
    for (const { function: made } of tools) {
      const said = runTool(callOf(made.name, { city: 'Paris "x"' }));
      expect(JSON.parse(said)).toMatchObject({ city: 'Paris "x"' });
    }
    const weather = (city: string): string => runTool(callOf('get_weather', { city }));
    expect(weather('Rome')).toBe(weather('Rome'));
    expect(weather('Rome')).toMatch(/^\{"city": "Rome", "weather": "[a-z]+", "temperature": \d+\}$/);
    expect(JSON.parse(runTool(callOf('other', {})))).toEqual({ error: 'there is no tool other' });
    for (const wrong of ['{"city": "Par', ''])
      expect(JSON.parse(runTool(callOf('get_time', wrong)))).toHaveProperty('error');
    expect(JSON.parse(runTool(callOf('get_weather', 'null')))).toHaveProperty('weather');
  });

  it('knows the time of cities that time zones are named after', () => {
    const now = new Date().toLocaleTimeString('en-GB', { timeZone: 'Asia/Tokyo', hour: '2-digit', minute: '2-digit' });
    const said = (JSON.parse(runTool(callOf('get_time', { city: 'Tokyo' }))) as { time: string }).time;
    const minutes = (time: string): number => Number(time.slice(0, 2)) * 60 + Number(time.slice(3));
    expect((minutes(said) - minutes(now) + 1440) % 1440).toBeLessThanOrEqual(1);
  });
  it('does not know the time of other cities, and says no time then', () => {
    for (const city of ['Springfield', 'Atlantis', '', 'o', 'Europe/Paris/x']) {
      const said: unknown = JSON.parse(runTool(callOf('get_time', { city })));
      expect(said).toEqual({ city, error: 'the time in this city is not known' });
    }
  });
});
