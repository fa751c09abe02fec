import DOMPurify from 'dompurify';
import { Marked } from 'marked';
import { useLayoutEffect, useMemo, useRef } from 'preact/hooks';

/** What answers may be made of. Nothing here loads anything: a model may have been told to send what it knows to somewhere. */
const ALLOWED_TAGS =
  'p br hr h1 h2 h3 h4 h5 h6 ul ol li blockquote pre code em strong del a table thead tbody tr th td'.split(' ');
const ALLOWED_ATTR = ['href', 'start', 'align'];

/** HTML in an answer is shown as the text that it is, and of images what they are called. */
const markdown = new Marked({
  async: false,
  gfm: true,
  breaks: true,
  renderer: { html: ({ text }) => escaped(text), image: ({ text }) => escaped(text) },
});

/** An answer. Of one that grows only its last block is drawn anew. */
export function Markdown({ text }: { readonly text: string }) {
  const blocks = useMemo(() => markdown.lexer(text).filter(({ type }) => type !== 'space'), [text]);
  return (
    <div class="markdown">
      {blocks.map(({ raw }, index) => (
        <Block key={index} source={raw} />
      ))}
    </div>
  );
}

function Block({ source }: { readonly source: string }) {
  const place = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    place.current?.replaceChildren(fragmentOf(source));
  }, [source]);
  return <div ref={place} />;
}

function fragmentOf(source: string): DocumentFragment {
  const html = markdown.parse(source, { async: false });
  const fragment = DOMPurify.sanitize(html, { ALLOWED_TAGS, ALLOWED_ATTR, RETURN_DOM_FRAGMENT: true });
  for (const link of fragment.querySelectorAll('a')) {
    link.target = '_blank';
    link.rel = 'noopener noreferrer nofollow';
  }
  // Wide ones scroll, which takes the focus of the keyboard.
  for (const block of fragment.querySelectorAll('pre')) block.tabIndex = 0;
  for (const table of fragment.querySelectorAll('table')) {
    const place = document.createElement('div');
    place.className = 'table-place';
    place.tabIndex = 0;
    table.replaceWith(place);
    place.append(table);
  }
  return fragment;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
