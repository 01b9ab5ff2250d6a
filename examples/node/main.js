import { Pronk } from 'pronk';

const engine = await Pronk.load('builtin', { device: 'cpu' });
const messages = [{ role: 'user', content: 'Who are you?' }];
const { choices } = await engine.chat.completions.create({ messages, temperature: 0 });
console.log(choices[0].message.content);
await engine.unload();
