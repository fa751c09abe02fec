/** Prompts of a kind, for `kvant bench lookup`. */
export interface LookupTask {
  readonly name: 'copy' | 'free';
  readonly prompts: readonly string[];
}

interface CopyText {
  readonly text: string;
  readonly replace: string;
  readonly by: string;
}

const COPY_TEXTS: readonly CopyText[] = [
  {
    text: `The ferry left the harbour at half past six, twenty minutes late, because the captain had been waiting for a letter that never came. Mara stood at the rail and counted the lamps along the quay until the rain hid them. She had spent eleven years on the island, first as a surveyor and later as the only person who could repair the tide gauge, and now she owned two suitcases, a brass compass and a dog that disliked the sea.`,
    replace: 'Mara',
    by: 'Nora',
  },
  {
    text: `Every morning the baker opened the shutters at four, lit the oven and weighed the flour on a scale that his grandfather had brought from the city. By six the first loaves stood in the window, and the postman, who was never in a hurry, bought two rolls and told him what had happened in the valley. On Sundays Peter slept until seven, and the street smelled of nothing but rain and wet leaves.`,
    replace: 'Peter',
    by: 'Simon',
  },
  {
    text: `The meeting of the garden club will take place on Thursday at eight in the evening in the old school. Please bring your own cup and a chair, because the hall has only twelve of them. We will talk about the new fence, the price of seeds, and the neighbour's goats, which have eaten the beans again. Whoever cannot come on Thursday may send a letter to the secretary, who will read it to everyone.`,
    replace: 'Thursday',
    by: 'Friday',
  },
];

/** Answers to `copy` are in their prompts but for a word; those to `free` are not. */
export const LOOKUP_TASKS: readonly LookupTask[] = [
  { name: 'copy', prompts: COPY_TEXTS.map(copyPrompt) },
  {
    name: 'free',
    prompts: [
      'Explain how bread is made.',
      'Write a short story about a lighthouse keeper.',
      'Give advice to a young person who moves to a big city.',
    ],
  },
];

/** The text comes first: small models then copy more than they do after the question. */
function copyPrompt({ text, replace, by }: CopyText): string {
  return `${text}\n\nRepeat the text above exactly. Change only one thing: replace "${replace}" with "${by}".`;
}
