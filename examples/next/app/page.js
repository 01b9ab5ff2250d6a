'use client';
import dynamic from 'next/dynamic';

// Only in the browser: the server renders the page without the engine.
const Answer = dynamic(() => import('./answer'), { ssr: false, loading: () => <output>…</output> });

export default function Page() {
  return <Answer />;
}
