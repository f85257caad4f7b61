// What a translation does with its decoding options, on a small model that was never trained.
import { afterAll, describe, expect, test } from "vitest";
import { Transformer } from "../../src/models/index.ts";
import { following, SearchAborted } from "../../src/decode/index.ts";
import { rerank, Translation, type DecodingOptions } from "../../src/tasks/index.ts";
import { CharacterTokenizer } from "../../src/text/index.ts";
import { expectClose } from "../close.ts";
import { noisyWeights, session } from "../models/small-transformer.ts";

const lines = ["ab ba abc", "cc", "a b c a b c a", "", "bca cab", "abc abc abc"];
const tokenizer = CharacterTokenizer.train(lines);
const options = { dModel: 16, heads: 2, layers: 2, dFeedForward: 24, maxPositions: 40 } as const;
const translationOf = (seed: number): Translation => {
  const model = new Transformer({ ...options, vocabularySize: tokenizer.vocabularySize });
  const decoding = { maxLength: 12, beams: 4 };
  return new Translation({ model, tokenizer, weights: noisyWeights(model, seed), decoding, session });
};
const translation = translationOf(1);
const other = translationOf(2);
afterAll(async () => {
  await translation.dispose();
  await other.dispose();
});

describe("scores of given targets", () => {
  test("are those that a search gives for what it writes, token by token", async () => {
    let compared = 0;
    for (const search of [{ nbest: 4 }, { search: "sample", nbest: 30, maxLength: 6 } as const]) {
      const found = await translation.generate(lines, search);
      for (const [i, list] of found.entries()) {
        if (lines[i] === "") continue;
        const scored = await translation.score(
          list.map(() => lines[i]!),
          list.map(({ text }) => text),
        );
        for (const [j, { tokens, tokenLogProbabilities, score, text }] of list.entries()) {
          const isEnded = tokens.at(-1) === "</s>";
          const given = scored[j]!;
          // A special token within the text is lost on the way through the text.
          if (given.tokens.slice(0, -1).join() !== (isEnded ? tokens.slice(0, -1) : tokens).join()) continue;
          const same = given.tokenLogProbabilities.slice(0, tokens.length);
          expectClose(same, tokenLogProbabilities, { within: 1e-4, what: text });
          if (isEnded) expect(given.score).toBeCloseTo(score, 4);
          compared++;
        }
      }
    }
    expect(compared).toBeGreaterThan(20);
  });

  test("do not depend on what else is scored", async () => {
    const sources = ["ab", "abc abc", "c", "bb a"];
    const targets = ["abcabc", "", "b", "a b a"];
    const together = await translation.score(sources, targets);
    expect(together.map(({ text }) => text)).toEqual(targets);
    expect(together[1]!.tokens).toEqual(["</s>"]);
    for (const [i, source] of sources.entries()) {
      const [alone] = await translation.score([source], [targets[i]!]);
      expectClose(alone!.tokenLogProbabilities, together[i]!.tokenLogProbabilities, { within: 1e-5, what: source });
    }
  });

  test("are refused for unlike counts, and for targets that the model has no positions for", async () => {
    await expect(translation.score(["a"], [])).rejects.toThrow(/0 for 1 sources/);
    await expect(translation.score(["a"], ["a".repeat(60)])).rejects.toThrow(/target 1: 61 tokens.*positions for 40/);
  });
});

describe("a stream", () => {
  test.each<[string, DecodingOptions]>([
    ["greedy", {}],
    ["drawn", { search: "sample", seed: 4, temperature: 1.5, topK: 6 }],
    ["stopped", { stop: ["a", "b", "c"] }],
    ["dropping", { keepDropout: true }],
  ])("%s: its pieces are the translation", async (_, choices) => {
    for (const line of lines) {
      let text = "";
      for await (const piece of translation.stream(line, choices)) text += piece;
      expect(text).toBe(await translation.translate(line, { beams: 1, ...choices }));
    }
  });

  test("does not mind what is configured for beams, and refuses what is said of them", async () => {
    const { model, weights } = translation;
    const decoding = { groups: 2, beams: 4, coveragePenalty: 0.5, coverageLayer: 0, maxLength: 12 };
    await using configured = new Translation({ model, tokenizer, weights, decoding, session });
    let text = "";
    for await (const piece of configured.stream("ab ba")) text += piece;
    expect(text).toBe(await translation.translate("ab ba", { beams: 1 }));
    const said = (choices: DecodingOptions) => configured.stream("ab", choices).next();
    await expect(said({ coveragePenalty: 1 })).rejects.toThrow(/coveragePenalty: has no effect with one beam/);
    await expect(said({ search: "beam-sample" })).rejects.toThrow(/greedy search or sampling alone/);
  });

  test("ends with an AbortError once its signal is raised, and refuses what cannot be streamed", async () => {
    const signal = { aborted: true } as AbortSignal;
    await expect(translation.stream("ab", { signal }).next()).rejects.toThrow(SearchAborted);
    await expect(translation.stream("ab", { phrases: ["a"] }).next()).rejects.toThrow(
      /greedy search or sampling alone/,
    );
  });
});

describe("outputs", () => {
  test("hold the phrases of all lines and of their own, and begin with their prefix", async () => {
    const given = [{ text: "ab ba", phrases: ["cab"] }, "cc", { text: "bca", prefix: "abc" }];
    const found = await translation.generate(given, { phrases: ["bb"], beams: 8, nbest: 2, maxLength: 20 });
    for (const [i, list] of found.entries()) {
      for (const { text } of list) {
        expect(text).toContain("bb");
        if (i === 0) expect(text).toContain("cab");
      }
    }
    const [begun] = await translation.generate([given[2]!]);
    expect(begun![0]!.text).toMatch(/^abc/);
  });

  test("are each one of a list, where there is one, or what a grammar of the caller's allows", async () => {
    for (const search of ["beam", "sample"] as const)
      for (const text of await translation.translate(
        lines.filter((line) => line !== ""),
        { oneOf: ["cab", "abc a"], search },
      ))
        expect(["cab", "abc a"]).toContain(text);
    const { end } = tokenizer.special;
    const ids = tokenizer.encode("bb");
    const twice = following({ start: 0, next: (read) => read + 1, allowed: (read) => [ids[read] ?? end] });
    expect(await translation.translate("ab", { processors: [twice] })).toBe("bb");
  });

  test("lack what is to be avoided", async () => {
    const plain = (await translation.translate(lines, { minLength: 8 })).join("");
    const letter = [..."abc"].find((one) => plain.includes(one))!;
    for (const text of await translation.translate(lines, { minLength: 8, avoid: [letter] }))
      expect(text).not.toContain(letter);
  });

  test("keep to lengths for each token of the source", async () => {
    const found = await translation.generate(lines, { minLengthRatio: 0.5, maxLengthRatio: 0.5 });
    for (const [i, [best]] of found.entries()) {
      if (lines[i] === "") continue;
      const limit = Math.min(12, Math.ceil(0.5 * (tokenizer.encode(lines[i]!).length + 1)));
      expect(best!.tokens.length).toBe(limit);
    }
  });

  test.each<[string, DecodingOptions]>([
    ["beams", { nbest: 3 }],
    ["groups", { groups: 2, diversityPenalty: 0.7, nbest: 3 }],
    ["samples", { search: "sample", nbest: 3, temperature: 1.2, topP: 0.9 }],
    ["a stochastic beam", { search: "stochastic-beam", nbest: 3 }],
    ["a beam whose continuations are drawn", { search: "beam-sample", nbest: 3, topK: 4, coveragePenalty: 0.2 }],
    ["a beam that must cover the source", { coveragePenalty: 3, coverageLayer: 0, coverageHead: 1, nbest: 3 }],
    ["groups that must cover the source", { groups: 2, diversityPenalty: 0.5, coveragePenalty: 3, nbest: 3 }],
    ["phrases and coverage", { phrases: ["a"], coveragePenalty: 3, beams: 6 }],
    ["a beam with dropout", { keepDropout: true, nbest: 3 }],
    ["samples with dropout", { search: "sample", keepDropout: true, nbest: 3, temperature: 0.1 }],
    ["minimum Bayes risk over samples", { search: "sample", mbr: "chrf", candidates: 6 }],
    ["penalties", { presencePenalty: 0.5, frequencyPenalty: 0.5, repetitionPenalty: 1.2, blockNgram: 2 }],
  ])("of %s: a line's are the same whatever stands beside it, of its seed and number", async (_, choices) => {
    const whole = await translation.generate(lines, choices);
    const small = await translation.generate(lines, { ...choices, batchTokens: 1 });
    const texts = (lists: typeof whole): string[][] => lists.map((list) => list.map(({ text }) => text));
    expect(texts(small)).toEqual(texts(whole));
    const each: typeof whole = [];
    for await (const list of translation.generateEach(lines, choices)) each.push(list);
    expect(texts(each)).toEqual(texts(whole));
    if (choices.search !== undefined || choices.keepDropout === true)
      expect(texts(await translation.generate(lines, { ...choices, seed: 99 }))).not.toEqual(texts(whole));
  });

  test("pay for words of the source that they pass over, by the attention of the layer and head", async () => {
    const choices = { coveragePenalty: 0.6, nbest: 4, lengthPenalty: 0.8 };
    for (const heads of [{}, { coverageLayer: 0, coverageHead: 1 }]) {
      const found = await translation.generate(lines, { ...choices, ...heads });
      let compared = 0;
      for (const [i, list] of found.entries()) {
        for (const { text, tokens, logProbability, score } of lines[i] === "" ? [] : list) {
          const map = await translation.attention(lines[i]!, text);
          // A special token within the text is lost on the way through the text.
          if (map.targetTokens.slice(0, tokens.length).join() !== tokens.join()) continue;
          const layer = map.weights["coverageLayer" in heads ? 0 : 1]!;
          const chosen = "coverageLayer" in heads ? [layer[1]!] : layer;
          const logs = map.sourceTokens.map((_, source) => {
            const looked = chosen.reduce(
              (sum, head) => sum + head.slice(0, tokens.length).reduce((a, row) => a + row[source]!, 0),
              0,
            );
            return Math.log(Math.min(1, looked / chosen.length));
          });
          const coverage = logs.reduce((a, b) => a + b, 0);
          expect(score).toBeCloseTo(logProbability / tokens.length ** 0.8 + 0.6 * coverage, 4);
          compared++;
        }
      }
      expect(compared).toBeGreaterThan(3);
    }
  });

  test("keep their dropout by seed, and are as ever without", async () => {
    const scores = async (choices: DecodingOptions): Promise<number[]> =>
      (await translation.generate(lines, choices)).map(([best]) => best!.score);
    const plain = await scores({});
    expect(await scores({ keepDropout: false, seed: 3 })).toEqual(plain);
    const dropped = await scores({ keepDropout: true, seed: 3 });
    expect(await scores({ keepDropout: true, seed: 3 })).toEqual(dropped);
    const other = await scores({ keepDropout: true, seed: 4 });
    for (const [i, line] of lines.entries()) {
      if (line === "") continue;
      expect(dropped[i]).not.toBe(plain[i]);
      expect(dropped[i]).not.toBe(other[i]);
    }
    const model = new Transformer({ ...options, vocabularySize: tokenizer.vocabularySize, dropout: 0 });
    await using bare = new Translation({ model, tokenizer, weights: noisyWeights(model), session });
    await expect(bare.translate("ab", { keepDropout: true })).rejects.toThrow(/keepDropout: .*made without dropout/);
  });

  test("chosen by minimum Bayes risk are led by the one that agrees best, and say how well", async () => {
    const found = await translation.generate(["abc cab"], { search: "sample", mbr: "chrf", candidates: 10, nbest: 10 });
    const expected = found[0]!.map(({ expectedUtility }) => expectedUtility!);
    expect(expected).toHaveLength(10);
    expect(expected).toEqual(expected.toSorted((a, b) => b - a));
  });

  test("are reranked by a second model", async () => {
    const lists = await translation.generate(["abc cab", "cc"], { nbest: 4 });
    const opinion = async (sources: readonly string[], targets: readonly string[]) =>
      (await other.score(sources, targets)).map(({ score }) => score);
    const judged = await rerank(["abc cab", "cc"], lists, opinion, { weight: 2 });
    for (const [i, list] of judged.entries()) {
      for (const [j, { text, score }] of list.entries()) {
        const before = lists[i]!.find((one) => one.text === text)!;
        const [second] = await other.score([["abc cab", "cc"][i]!], [text]);
        expect(score).toBeCloseTo(before.score + 2 * second!.score, 4);
        if (j > 0) expect(score).toBeLessThanOrEqual(list[j - 1]!.score);
      }
    }
  });

  test.each<[DecodingOptions, RegExp]>([
    [{ topK: 3 }, /topK: has no effect with search beam/],
    [{ nbest: 9 }, /nbest: must not exceed beams \(got 9 and 4\)/],
    [{ groups: 3 }, /groups: must divide beams/],
    [{ diversityPenalty: 1 }, /Set groups/],
    [{ candidates: 3 }, /candidates: has no effect with mbr none/],
    [{ phrases: ["a"], search: "sample" }, /phrases: need search beam/],
    [{ lengthCandidates: 2 }, /lengthCandidates: has no effect with this model/],
    [{ coveragePenalty: 0.2, beams: 1 }, /coveragePenalty: has no effect with one beam/],
    [{ coveragePenalty: 0.2, search: "sample" }, /coveragePenalty: has no effect with search sample/],
    [{ coverageLayer: 1 }, /coverageLayer: has no effect without a coverage penalty/],
    [{ coveragePenalty: 0.2, coverageLayer: 7 }, /layer: must be below 2 \(got 7\)/],
    [{ search: "beam-sample", beams: 1 }, /beams: must be at least 2 with search beam-sample/],
    [{ search: "beam-sample", groups: 2 }, /groups: has no effect with search beam-sample/],
  ])("that cannot be had are refused: %j", async (choices, message) => {
    await expect(translation.generate(["a"], choices)).rejects.toThrow(message);
  });
});

describe("an ensemble", () => {
  test("of a model and itself is that model; with another it differs from both", async () => {
    const [one, same, mixed] = [translationOf(1), translationOf(1), translationOf(1)];
    one.ensembleWith(same);
    mixed.ensembleWith(translationOf(2));
    const alone = await translation.generate(lines);
    const twice = await one.generate(lines);
    for (const [i, [best]] of twice.entries()) {
      expect(best!.text).toBe(alone[i]![0]!.text);
      expect(best!.score).toBeCloseTo(alone[i]![0]!.score, 4);
    }
    const scores = (lists: Awaited<ReturnType<Translation["generate"]>>) => lists.map(([best]) => best!.score);
    expect(scores(await mixed.generate(lines))).not.toEqual(scores(alone));
    await one.dispose();
    await mixed.dispose();
  });

  test("needs the same tokenizers", () => {
    const model = new Transformer({ ...options, vocabularySize: 40 });
    const stranger = new Translation({ model, tokenizer: CharacterTokenizer.train(["xyz"]) });
    expect(() => translationOf(1).ensembleWith(stranger)).toThrow(/source tokenizer is not this one's/);
  });
});

test("an alignment pairs each target token with the source token that the head looked at most", async () => {
  const map = await translation.attention("ab ba", "bca");
  for (const [layer, head] of [
    [0, 0],
    [1, 1],
  ] as const) {
    const pairs = await translation.align("ab ba", "bca", { layer, head });
    for (const [source, target] of pairs) {
      const row = map.weights[layer]![head]![target]!;
      expect(row[source]).toBe(Math.max(...row));
    }
    expect(pairs.length).toBeLessThan(map.targetTokens.length);
  }
  await expect(translation.align("ab", "b", { layer: 9 })).rejects.toThrow(/layer: must be below 2 \(got 9\)/);
  await expect(translation.align("ab", "b", { head: 2 })).rejects.toThrow(/head: must be below 2 \(got 2\)/);
});
