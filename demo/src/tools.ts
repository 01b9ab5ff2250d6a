// The tools that the page offers in a conversation begun with one. They show how a model calls a program; they ask nobody.
import type { FunctionTool, ToolCall } from 'pronk';

export const tools = [tool('get_weather', 'Get the weather in a city'), tool('get_time', 'Get the time in a city')];

function tool(name: string, description: string): FunctionTool {
  const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
  return { type: 'function', function: { name, description, parameters } };
}

function cityOf(call: ToolCall): string | null {
  try {
    const given: unknown = JSON.parse(call.function.arguments);
    const city: unknown = typeof given === 'object' && given !== null && 'city' in given ? given.city : '';
    return typeof city === 'string' ? city : '';
  } catch {
    return null;
  }
}

/** What the model is told, as JSON. */
export function runTool(call: ToolCall): string {
  const { name } = call.function;
  const city = cityOf(call);
  if (city === null) return spaced({ error: 'the arguments are not JSON' });
  if (name === 'get_weather') return spaced({ city, ...inventedWeather(city) });
  if (name === 'get_time') return spaced({ city, ...timeIn(city) });
  return spaced({ error: `there is no tool ${name}` });
}

// JSON as most models have seen it, with spaces.
function spaced(values: Record<string, string | number>): string {
  return `{${Object.entries(values)
    .map(([key, value]) => `"${key}": ${JSON.stringify(value)}`)
    .join(', ')}}`;
}

// The same for a city each time.
function inventedWeather(city: string): { weather: string; temperature: number } {
  let hash = 7;
  for (const character of city) hash = (hash * 31 + character.codePointAt(0)!) % 10007;
  const skies = ['sunny', 'cloudy', 'rainy', 'windy', 'foggy', 'clear'];
  return { weather: skies[hash % skies.length]!, temperature: 4 + (hash % 24) };
}

// By the browser's own time zones, which are named after cities.
function timeIn(city: string): { time: string } | { error: string } {
  const wanted = `/${city.trim().replaceAll(' ', '_')}`.toLowerCase();
  const timeZone = Intl.supportedValuesOf('timeZone').find((zone) => zone.toLowerCase().endsWith(wanted));
  if (timeZone === undefined) return { error: 'the time in this city is not known' };
  return { time: new Date().toLocaleTimeString('en-GB', { timeZone, hour: '2-digit', minute: '2-digit' }) };
}
