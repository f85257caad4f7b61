// BPE-dropout over epochs: other spellings of the same text, the same again for the same seed, and a position that can be resumed.
import { beforeAll, describe, expect, test } from "vitest";
import { Batches, corpusOf, encodePairs, type EncodedPairs } from "../../src/data/index.ts";
import { trainTokenizer, type Tokenizer } from "../../src/text/index.ts";

const texts = Array.from(
  { length: 40 },
  (_, i) => [`the lowest newer wider tower ${i}`, `der neueste weite turm ${i}`] as const,
);
let tokenizer: Tokenizer;

beforeAll(async () => {
  tokenizer = await trainTokenizer({ type: "bpe", vocabularySize: 300 }, texts.flat());
});

const encoded = (options: { rate?: number; seed?: number; maxSourceTokens?: number } = {}): Promise<EncodedPairs> => {
  const { rate, seed = 1, maxSourceTokens = Infinity } = options;
  return encodePairs(corpusOf(texts), {
    source: tokenizer,
    target: tokenizer,
    maxSourceTokens,
    ...(rate !== undefined && { bpeDropout: { rate, seed } }),
  });
};

const sources = (pairs: EncodedPairs): number[][] =>
  Array.from({ length: pairs.count }, (_, i) => [...pairs.source.row(i)]);

describe("BPE-dropout in training", () => {
  test("an epoch spells otherwise than the plain encoding and than the next epoch, and every spelling is the same text", async () => {
    const pairs = await encoded({ rate: 0.3 });
    const [plain, first, second] = [pairs, pairs.inEpoch(0), pairs.inEpoch(1)];
    expect(sources(plain)).toEqual(sources(await encoded()));
    expect(sources(first)).not.toEqual(sources(plain));
    expect(sources(second)).not.toEqual(sources(first));
    expect(first.source.tokens.length).toBeGreaterThan(plain.source.tokens.length);
    for (const [i, [source, target]] of texts.entries()) {
      expect(tokenizer.decode([...first.source.row(i)])).toBe(source);
      expect(tokenizer.decode([...first.target.row(i)])).toBe(target);
      expect(first.source.row(i).at(-1)).toBe(tokenizer.special.end);
    }
  });

  test("seed and epoch decide the spelling", async () => {
    const [a, b, other] = [
      await encoded({ rate: 0.3 }),
      await encoded({ rate: 0.3 }),
      await encoded({ rate: 0.3, seed: 2 }),
    ];
    expect(sources(a.inEpoch(3))).toEqual(sources(b.inEpoch(3)));
    expect(sources(a.inEpoch(3))).not.toEqual(sources(other.inEpoch(3)));
    expect(new Set([a, other, await encoded()].map(({ fingerprint }) => fingerprint)).size).toBe(3);
  });

  test("a spelling that grows beyond the limit gives way to the plain one", async () => {
    const plain = await encoded();
    const longest = Math.max(...sources(plain).map(({ length }) => length));
    const pairs = await encoded({ rate: 0.9, maxSourceTokens: longest });
    const spelt = sources(pairs.inEpoch(0));
    expect(Math.max(...spelt.map(({ length }) => length))).toBeLessThanOrEqual(longest);
    expect(pairs.count).toBe(plain.count);
  });

  test("a run that seeks a saved position sees the batches that the other would have seen", async () => {
    const batchesOf = async (): Promise<Batches> =>
      new Batches(await encoded({ rate: 0.3 }), { batchTokens: 120, seed: 4 });
    const through = await batchesOf();
    while (through.cursor.epoch < 2) through.take();
    through.take();
    const resumed = await batchesOf();
    resumed.seek(through.cursor);
    for (let i = 0; i < 2 * through.batchesInEpoch; i++) expect(resumed.take()).toEqual(through.take());
  });
});
