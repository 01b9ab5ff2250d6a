import { Pronk } from 'pronk';
import 'pronk/builtin';

const engine = await Pronk.load('builtin');
const messages = [{ role: 'user', content: 'Who are you?' }];
const { choices } = await engine.chat.completions.create({ messages, temperature: 0 });
document.querySelector('output').textContent = choices[0].message.content;
await engine.unload();
