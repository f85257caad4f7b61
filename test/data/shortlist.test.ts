// IBM model 1 on a toy language whose dictionary is known, and lists made of it.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { randomKey, RandomStream } from "../../src/base/index.ts";
import {
  corpusOf,
  encodePairs,
  learnTranslations,
  readShortlist,
  saveShortlist,
  Shortlist,
  TokenRows,
  type EncodedPairs,
} from "../../src/data/index.node.ts";
import { writeSafetensors } from "../../src/formats/index.node.ts";
import { hostTensor } from "../../src/base/index.ts";
import { WordTokenizer } from "../../src/text/index.ts";

const rowsOf = (rows: readonly (readonly number[])[]): TokenRows => {
  const offsets = [0];
  for (const row of rows) offsets.push(offsets.at(-1)! + row.length);
  return new TokenRows(Int32Array.from(rows.flat()), Uint32Array.from(offsets));
};

/** Model 1 as its equations stand, without a thought of speed: t[f][e], e = sourceVocabulary is the empty word. */
function slowly(
  source: readonly (readonly number[])[],
  target: readonly (readonly number[])[],
  { from, to, iterations }: { from: number; to: number; iterations: number },
): number[][] {
  let t = Array.from({ length: from + 1 }, () => new Array<number>(to).fill(1));
  for (let pass = 0; pass < iterations; pass++) {
    const counts = Array.from({ length: from + 1 }, () => new Array<number>(to).fill(0));
    source.forEach((row, pair) => {
      for (const f of target[pair]!) {
        const sum = [...row, from].reduce((total, e) => total + t[e]![f]!, 0);
        for (const e of [...row, from]) counts[e]![f]! += t[e]![f]! / sum;
      }
    });
    t = counts.map((row) => {
      const total = row.reduce((a, b) => a + b, 0);
      return row.map((count) => (total === 0 ? 0 : count / total));
    });
  }
  return t;
}

/** Sentences of a language whose word i is word i + 10 in the other, in another order, with a particle now and then. */
function toyPairs(): { source: number[][]; target: number[][] } {
  const random = new RandomStream(randomKey(4));
  const source = Array.from({ length: 300 }, () =>
    Array.from({ length: 2 + random.integer(5) }, () => random.integer(10)),
  );
  const target = source.map((row) => [...row.map((word) => word + 10).reverse(), ...(random.integer(2) ? [20] : [])]);
  return { source, target };
}

describe("learnTranslations", () => {
  test("finds the dictionary of a toy language, and leaves the particle to the empty word", () => {
    const { source, target } = toyPairs();
    const table = learnTranslations({
      source: rowsOf(source),
      target: rowsOf(target),
      sourceVocabulary: 10,
      targetVocabulary: 21,
      iterations: 10,
    });
    for (let word = 0; word < 10; word++) {
      expect(table.best(word, 1)).toEqual([word + 10]);
      expect(table.probability(word, word + 10)).toBeGreaterThan(0.9);
    }
    expect(table.best(10, 1)).toEqual([20]);
  });

  test("is what model 1's equations say, on any corpus", () => {
    const rows = (size: number): fc.Arbitrary<number[]> => fc.array(fc.nat(size - 1), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(rows(4), rows(5)), { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 1, max: 4 }),
        (pairs, iterations) => {
          const [source, target] = [pairs.map(([row]) => row), pairs.map(([, row]) => row)];
          const expected = slowly(source, target, { from: 4, to: 5, iterations });
          const table = learnTranslations({
            source: rowsOf(source),
            target: rowsOf(target),
            sourceVocabulary: 4,
            targetVocabulary: 5,
            iterations,
          });
          for (let e = 0; e <= 4; e++)
            for (let f = 0; f < 5; f++) expect(table.probability(e, f)).toBeCloseTo(expected[e]![f]!, 5);
        },
      ),
    );
  });

  test("refuses sides of unlike length", () => {
    const sides = { source: rowsOf([[1]]), target: rowsOf([]), sourceVocabulary: 2, targetVocabulary: 2 };
    expect(() => learnTranslations(sides)).toThrow(/0 sentences for 1 sources/);
  });
});

describe("a shortlist", () => {
  const lines = toyPairs();
  const words = (row: readonly number[]): string => row.map((id) => `w${id}`).join(" ");
  const corpus = corpusOf(lines.source.map((row, i) => [words(row), words(lines.target[i]!)] as const));
  let folder: string;
  let source: WordTokenizer;
  let target: WordTokenizer;
  let pairs: EncodedPairs;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "heddle-shortlist-"));
    source = WordTokenizer.train(lines.source.map(words));
    target = WordTokenizer.train(lines.target.map(words));
    pairs = await encodePairs(corpus, { source, target });
  });
  afterAll(() => rm(folder, { recursive: true }));

  const learnt = (perToken: number, common: number): Shortlist =>
    Shortlist.learn({
      source: pairs.source,
      target: pairs.target,
      vocabularies: { source, target },
      always: Object.values(target.special),
      perToken,
      common,
    });

  test("holds every translation's tokens on the data that it was learnt from", () => {
    // One for each word, and the particle with the most frequent ones.
    const shortlist = learnt(2, 1);
    let [covered, all] = [0, 0];
    for (let i = 0; i < pairs.count; i++) {
      const list = shortlist.of([...pairs.source.row(i)]);
      expect([...list]).toEqual([...new Set(list)].sort((a, b) => a - b));
      for (const token of pairs.target.row(i)) {
        all++;
        if (list.includes(token)) covered++;
      }
    }
    expect(covered / all).toBeGreaterThan(0.99);
    expect(shortlist.of(source.encode("w1")).length).toBeLessThan(target.vocabularySize / 2);
  });

  test("holds special tokens, the most frequent ones and those asked for, whatever the source", () => {
    const none = learnt(0, 0);
    expect([...none.of(source.encode("w1"))]).toEqual([0, 1, 2, 3]);
    expect([...none.of([], [7, 5, 7])]).toEqual([0, 1, 2, 3, 5, 7]);
    const counts = new Map<number, number>();
    for (const token of pairs.target.tokens) counts.set(token, (counts.get(token) ?? 0) + 1);
    const [most] = [...counts].filter(([token]) => token > 3).sort((a, b) => b[1] - a[1])[0]!;
    expect([...learnt(0, 2).of([])]).toContain(most);
  });

  test("of one vocabulary lets every token stand for itself", () => {
    const joint = WordTokenizer.train([...lines.source, ...lines.target].map(words));
    const shortlist = Shortlist.learn({
      source: pairs.source,
      target: pairs.target,
      vocabularies: { source: joint, target: joint },
      always: [],
      perToken: 1,
      common: 0,
    });
    expect([...shortlist.of([20])]).toContain(20);
  });

  test("is read as it was written, and refused with other vocabularies, as no shortlist or with strange tokens", async () => {
    const path = join(folder, "shortlist.safetensors");
    const shortlist = learnt(3, 5);
    await saveShortlist(path, shortlist);
    expect((await readShortlist(path, { source, target })).contents).toEqual(shortlist.contents);
    await expect(readShortlist(path, { source: target, target })).rejects.toThrow(
      /learnt for other vocabularies.*heddle shortlist/,
    );
    const other = join(folder, "other.safetensors");
    await writeSafetensors(other, [["common", hostTensor("int32", [1], [1])]]);
    await expect(readShortlist(other, { source, target })).rejects.toThrow(/is no shortlist/);
    await writeFile(other, "x");
    await expect(readShortlist(other, { source, target })).rejects.toThrow(other);
    const { contents } = shortlist;
    expect(() => new Shortlist({ ...contents, common: Int32Array.of(999) })).toThrow(
      /token 999 is not in a vocabulary/,
    );
  });
});
