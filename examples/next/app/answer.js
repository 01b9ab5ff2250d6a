'use client';
import { Pronk } from 'pronk';
import { builtin } from 'pronk/builtin';
import { useEffect, useState } from 'react';

async function ask() {
  const engine = await Pronk.load(builtin);
  const messages = [{ role: 'user', content: 'Who are you?' }];
  const { choices } = await engine.chat.completions.create({ messages, temperature: 0 });
  await engine.unload();
  return choices[0].message.content;
}

export default function Answer() {
  const [answer, setAnswer] = useState('…');
  useEffect(() => {
    ask().then(setAnswer, (error) => setAnswer(String(error)));
  }, []);
  return <output>{answer}</output>;
}
