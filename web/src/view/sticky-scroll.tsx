import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { IconButton } from './icon-button.tsx';

/** Closer to the end than this, one reads what is new. */
const NEAR_END_PX = 60;

export interface StickyScrollProps {
  readonly label: string;
  /** Changes whenever the content grows. */
  readonly growsWith: string;
  readonly children: ComponentChildren;
}

/** Scrolls along with what is added at the end, unless one has scrolled away from it. */
export function StickyScroll({ label, growsWith, children }: StickyScrollProps) {
  const area = useRef<HTMLDivElement>(null);
  const sticks = useRef(true);
  const [isAway, setIsAway] = useState(false);
  const toEnd = (): void => {
    const element = area.current;
    if (element) element.scrollTop = element.scrollHeight;
  };
  useLayoutEffect(() => {
    if (sticks.current) toEnd();
  }, [growsWith]);
  const onScroll = (): void => {
    const element = area.current;
    if (!element) return;
    sticks.current = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_END_PX;
    setIsAway(!sticks.current);
  };
  return (
    <div class="scroll-place">
      {/* Whoever scrolls with keys needs the focus here. */}
      <div ref={area} class="scroll-area" role="region" aria-label={label} tabIndex={0} onScroll={onScroll}>
        {children}
      </div>
      {isAway && <IconButton icon="down" class="to-end" label="To the newest message" onClick={toEnd} />}
    </div>
  );
}
