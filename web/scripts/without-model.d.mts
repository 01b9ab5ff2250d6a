export function withoutModel(dist: string): void;
