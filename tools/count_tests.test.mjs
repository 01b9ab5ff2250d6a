// What ./check makes of the results of its runners: every test counted once, and each skip with its reason.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('count_tests.py', import.meta.url));
let folder = '';
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'pronk-count-'))));
afterEach(() => rmSync(folder, { recursive: true }));

function put(name, text) {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function count(...given) {
  const out = execFileSync('python3', [script, ...given], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const [totals, ...reasons] = out.trimEnd().split('\n');
  return { totals, reasons };
}

function ctest(cases) {
  return put(
    'ctest.xml',
    `<testsuite>${cases.map(([name, status]) => `<testcase name="${name}" status="${status}"/>`)}</testsuite>`,
  );
}

const passed = '<testcase name="a" result="completed"/>';
const failed = '<testcase name="b" result="completed"><failure message="x"/></testcase>';
const skipped =
  '<testcase name="c" result="skipped"><skipped message="../f.cpp:7&#x0A;no WebGPU adapter (why&#x0A;)"/></testcase>';

function suite(name, ...tests) {
  put(`${name}.xml`, `<testsuites><testsuite>${tests.join('')}</testsuite></testsuites>`);
}

test('GoogleTest: the tests of a suite, its skips with their reasons', () => {
  suite('gpu.Device', passed, passed, skipped);
  suite('gpu.Other', passed, skipped, skipped.replace('no WebGPU', 'no other'));
  const junit = ctest([
    ['gpu.Device', 'run'],
    ['gpu.Other', 'run'],
  ]);
  assert.deepEqual(count('ctest', junit, folder), {
    totals: '3 0 3',
    reasons: ['no WebGPU adapter (why', 'no other adapter (why'],
  });
});

test('GoogleTest: a suite that fails, one that crashed, one that left half of its results, one of another kind', () => {
  suite('a.Fails', passed, failed);
  suite('a_Half', passed);
  const junit = ctest([
    ['a.Fails', 'fail'],
    ['a.Crashed', 'fail'],
    ['a/Half', 'fail'],
    ['script', 'run'],
  ]);
  assert.deepEqual(count('ctest', junit, folder), { totals: '3 3 0', reasons: [] });
});

test('GoogleTest: a skip without a reason is one all the same', () => {
  suite('a.B', '<testcase name="c" result="skipped"/>');
  assert.deepEqual(count('ctest', ctest([['a.B', 'run']]), folder), { totals: '0 0 1', reasons: ['no reason given'] });
});

test('Vitest: all projects, colours left out; reasons from notes and from what tests print', () => {
  const log = put(
    'log',
    [
      'stdout | test/browser/page.test.ts',
      'skipped: there is no /usr/bin/chromium',
      ' ↓ |node| test/a.test.ts > an entry 12ms [build/native/pronk is not built]',
      ' ✓ |node| test/a.test.ts > takes [brackets]',
      '\u001b[2m      Tests \u001b[22m \u001b[1m\u001b[31m1 failed\u001b[39m | 9 passed | 3 skipped (13)',
      '      Tests  4 passed (4)',
    ].join('\n'),
  );
  assert.deepEqual(count('vitest', log), {
    totals: '13 1 3',
    reasons: ['build/native/pronk is not built', 'there is no /usr/bin/chromium'],
  });
  const silent = put('log', '      Tests  4 passed | 1 skipped (5)\n');
  assert.deepEqual(count('vitest', silent), { totals: '4 0 1', reasons: ['no reason given'] });
});

test('node --test', () => {
  const log = put('log', 'ok 1 - a # SKIP no network\nok 2 - b\n# pass 1\n# fail 0\n# skipped 1\n');
  assert.deepEqual(count('node', log), { totals: '1 0 1', reasons: ['no network'] });
});

test('a runner that left nothing has failed', () => {
  assert.deepEqual(count('ctest', join(folder, 'nothing.xml'), folder).totals, '0 1 0');
  assert.deepEqual(count('ctest', put('ctest.xml', '<testsuite>'), folder).totals, '0 1 0');
  assert.deepEqual(count('vitest', join(folder, 'nothing')).totals, '0 1 0');
});
