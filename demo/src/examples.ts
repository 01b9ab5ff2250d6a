// First words to a model: what the one in the box was trained to do.
export interface Example {
  title: string;
  text: string;
  tools?: boolean; // tools are offered in the conversation
  next?: string; // what to ask after the answer
}

export const examples: Example[] = [
  {
    title: 'A story',
    text: 'Tell me a story about a brave dog named Max.',
    next: 'What was the name of the hero?',
  },
  { title: 'Memory', text: 'I have a grey cat called Luna.', next: 'What is my cat called?' },
  { title: 'A sum', text: 'What is 7 + 8?' },
  { title: 'JSON', text: 'Give me a JSON list of four animals.' },
  { title: 'A tool call', text: 'What is the weather in Paris?', tools: true, next: 'What time is it in Tokyo?' },
];
