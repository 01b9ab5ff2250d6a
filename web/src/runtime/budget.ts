// How much memory a model may take when the caller asks for the largest context and names no budget.

const gib = 2 ** 30;

/** What of a browser's navigator tells about memory; each is missing somewhere. */
export interface BrowserMemory {
  deviceMemory?: number; // GiB, rounded and capped by the browser
  userAgentData?: { mobile: boolean };
  userAgent: string;
}

/**
 * Bytes: half of what the browser says the machine has; 2 GiB where it says nothing (Firefox, Safari); at most 1 GiB on
 * phones and tablets, whose systems end a tab that takes more.
 */
export function browserBudget({ deviceMemory, userAgentData, userAgent }: BrowserMemory): number {
  const half = deviceMemory && deviceMemory > 0 ? (deviceMemory / 2) * gib : 2 * gib;
  const mobile = userAgentData?.mobile || /\b(Android|iPhone|iPad|iPod|Mobile)\b/.test(userAgent);
  return mobile ? Math.min(half, gib) : half;
}
