// The tools that the page offers in a conversation begun with one. They show how a model calls a program; they ask nobody.
export const tools = [tool('get_weather', 'Get the weather in a city'), tool('get_time', 'Get the time in a city')];

function tool(name: string, description: string) {
  const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
  return { name, description, parameters };
}

export interface ToolCall {
  name: string;
  arguments: Record<string, unknown>;
}

const callForm = /<tool_call>\s*(\{.*?\})\s*(?:<\/tool_call>|$)/s;

/** The first call that an answer makes, and what it says before; null when it makes none. */
export function splitCall(text: string): { before: string; call: ToolCall } | null {
  const found = callForm.exec(text);
  if (!found) return null;
  try {
    const made: unknown = JSON.parse(found[1]!);
    if (typeof made !== 'object' || made === null) return null;
    const { name, arguments: given } = made as Partial<ToolCall>;
    if (typeof name !== 'string' || typeof given !== 'object' || given === null) return null;
    return { before: text.slice(0, found.index).trim(), call: { name, arguments: given } };
  } catch {
    return null;
  }
}

/** What the model is told, as JSON. */
export function runTool({ name, arguments: given }: ToolCall): string {
  const city = typeof given.city === 'string' ? given.city : '';
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
