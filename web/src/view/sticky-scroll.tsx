import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { IconButton } from './icon-button.tsx';

/** Closer to the end than this, one reads what is new. */
const NEAR_END_PX = 60;

export interface StickyScrollProps {
  readonly label: string;
  /** Where it changes, something was said that one wants to see: back to the end. */
  readonly jumpsWith: string | undefined;
  readonly children: ComponentChildren;
}

/** Scrolls along with what is added at the end, unless one has scrolled away from it. */
export function StickyScroll({ label, jumpsWith, children }: StickyScrollProps) {
  const area = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const sticks = useRef(true);
  const lastTop = useRef(0);
  const [isAway, setIsAway] = useState(false);
  const toEnd = (): void => {
    if (area.current) area.current.scrollTop = area.current.scrollHeight;
  };
  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => {
      if (sticks.current) toEnd();
    });
    for (const { current } of [area, content]) if (current) observer.observe(current);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => {
    if (jumpsWith === undefined) return;
    sticks.current = true;
    toEnd();
  }, [jumpsWith]);
  const onScroll = (): void => {
    const element = area.current;
    if (!element) return;
    const isNearEnd = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_END_PX;
    // Only who goes up goes away: the end also moves away by itself, when much is added at once.
    if (isNearEnd) sticks.current = true;
    else if (element.scrollTop < lastTop.current) sticks.current = false;
    lastTop.current = element.scrollTop;
    setIsAway(!sticks.current);
  };
  return (
    <div class="scroll-place">
      {/* Whoever scrolls with keys needs the focus here. */}
      <div ref={area} class="scroll-area" role="region" aria-label={label} tabIndex={0} onScroll={onScroll}>
        <div ref={content}>{children}</div>
      </div>
      {isAway && <IconButton icon="down" class="to-end" label="To the newest message" onClick={toEnd} />}
    </div>
  );
}
