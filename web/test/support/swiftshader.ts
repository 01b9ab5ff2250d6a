// WebGPU without a GPU: Dawn in Node runs on the SwiftShader that comes with Debian's chromium. And a cache of models that
// is not the user's own.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const driver = '/usr/lib/chromium/vk_swiftshader_icd.json';

export default function setup(): () => void {
  const cache = mkdtempSync(join(tmpdir(), 'pronk-test-cache-'));
  process.env['XDG_CACHE_HOME'] = cache;
  const teardown = (): void => rmSync(cache, { recursive: true, force: true });
  if (process.env['VK_DRIVER_FILES'] || process.env['VK_ICD_FILENAMES'] || !existsSync(driver)) return teardown;
  process.env['VK_DRIVER_FILES'] = driver;
  process.env['VK_ICD_FILENAMES'] = driver;
  return teardown;
}
