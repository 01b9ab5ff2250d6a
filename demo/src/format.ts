// Numbers as people read them.

const units = ['bytes', 'KB', 'MB', 'GB', 'TB'];

export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toPrecision(value < 10 ? 2 : 3)} ${units[unit]}`;
}

export function count(value: number): string {
  if (value >= 1e9) return `${(value / 1e9).toPrecision(3)} billion`;
  if (value >= 1e6 && value < 9.95e6) return `${(value / 1e6).toFixed(1)} million`;
  if (value >= 1e6) return `${Math.round(value / 1e6)} million`;
  if (value >= 1e3) return `${Math.round(value / 1e3)} thousand`;
  return String(value);
}

export function whole(value: number): string {
  return value.toLocaleString('en');
}

export function seconds(milliseconds: number): string {
  if (milliseconds < 995) return `${Math.round(milliseconds)} ms`;
  return `${(milliseconds / 1000).toFixed(milliseconds < 9950 ? 1 : 0)} s`;
}

export function duration(totalSeconds: number): string {
  if (totalSeconds < 90) return `${Math.max(1, Math.round(totalSeconds))} s`;
  return `${Math.round(totalSeconds / 60)} min`;
}

/** Of tokens a second. */
export function speed(value: number): string {
  return value >= 100 ? whole(Math.round(value)) : value.toFixed(1);
}

export function rate(tokensPerSecond: number): string {
  return `${speed(tokensPerSecond)} tokens/s`;
}

/** The time of today, else the day. */
export function date(milliseconds: number): string {
  const then = new Date(milliseconds);
  if (then.toDateString() === new Date().toDateString()) {
    return then.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
  }
  return then.toLocaleDateString('en-GB', { day: 'numeric', month: 'long', year: 'numeric' });
}
