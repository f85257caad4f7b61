// Two invented languages with one right translation for every sentence: common words and rare ones, genders, another order of words.
import { randomKey, RandomStream } from "#base";
import { inventedWord } from "./text.ts";

const [nouns, adjectives, verbs, adverbs] = [400, 150, 150, 50];

interface Word {
  readonly source: string;
  readonly target: string;
  /** Of nouns: articles and endings go by it. */
  readonly gender: number;
}

/** Sentences and their translations; the same seed gives the same languages and the same sentences. */
export function translatedSentences({
  seed,
  count,
}: {
  seed: number;
  count: number;
}): [source: string, target: string][] {
  const words = new RandomStream(randomKey(seed, 51));
  const taken = new Set<string>();
  const fresh = (): string => {
    for (;;) {
      const word = inventedWord(words, 2 + words.integer(2));
      if (!taken.has(word)) return taken.add(word) && word;
    }
  };
  const lexicon = (size: number): Word[] =>
    Array.from({ length: size }, () => ({ source: fresh(), target: fresh(), gender: words.integer(3) }));
  const [things, qualities, deeds, manners] = [nouns, adjectives, verbs, adverbs].map(lexicon) as [
    Word[],
    Word[],
    Word[],
    Word[],
  ];
  // What a deed is called goes by the gender of what it is done to, for half of the deeds.
  const otherDeeds = deeds.map(({ target }, i) => (i % 2 === 0 ? target : fresh()));
  const articles = Array.from({ length: 2 * 3 }, fresh);
  const endings = ["a", "en", "ul"];

  const drawn = new RandomStream(randomKey(seed, 52));
  // The word of rank r comes about 1/r as often as the first (Zipf).
  const pick = (from: readonly Word[]): Word =>
    from[Math.floor(Math.exp(drawn.uniform() * Math.log(from.length + 1))) - 1]!;
  return Array.from({ length: count }, () => {
    const phrase = (role: number): { source: string; target: string; gender: number } => {
      const noun = pick(things);
      const quality = drawn.uniform() < 0.6 ? pick(qualities) : undefined;
      const article = articles[3 * role + noun.gender]!;
      return {
        source: ["the", quality?.source, noun.source].filter(Boolean).join(" "),
        target: [article, noun.target, quality && quality.target + endings[noun.gender]!].filter(Boolean).join(" "),
        gender: noun.gender,
      };
    };
    const [who, what] = [phrase(0), phrase(1)];
    const at = deeds.indexOf(pick(deeds));
    const deed = deeds[at]!;
    const manner = drawn.uniform() < 0.5 ? pick(manners) : undefined;
    return [
      [who.source, deed.source, what.source, manner?.source].filter(Boolean).join(" "),
      [who.target, manner?.target, what.target, what.gender === 2 ? otherDeeds[at] : deed.target]
        .filter(Boolean)
        .join(" "),
    ];
  });
}
