// The promises every tokenizer keeps, whatever its kind.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { randomKey, RandomStream } from "../../src/base/index.ts";
import {
  BpeTokenizer,
  CharacterTokenizer,
  loadTokenizer,
  trainTokenizer,
  WordTokenizer,
} from "../../src/text/index.ts";
import { anyText, awkward, kinds, lines, sentence } from "./sample-text.ts";

describe.each(kinds)("%s", (_, tokenizer) => {
  it("has the special tokens at the front of its vocabulary", () => {
    expect(tokenizer.special).toEqual({ pad: 0, unknown: 1, start: 2, end: 3 });
    expect([0, 1, 2, 3].map((id) => tokenizer.tokenOf(id))).toEqual(["<pad>", "<unk>", "<s>", "</s>"]);
  });

  it("has one token for each id and one id for each token", () => {
    for (let id = 0; id < tokenizer.vocabularySize; id++) expect(tokenizer.idOf(tokenizer.tokenOf(id)!)).toBe(id);
    expect(tokenizer.tokenOf(tokenizer.vocabularySize)).toBeUndefined();
  });

  it("adds the start and the end only when asked", () => {
    const plain = tokenizer.encode("a man");
    expect(plain).not.toContain(2);
    expect(tokenizer.encode("a man", { start: true, end: true })).toEqual([2, ...plain, 3]);
    expect(tokenizer.decode([2, ...plain, 3, 0, 0])).toBe(tokenizer.decode(plain));
  });

  it("takes a special token's name in the text for the token, or for text when told so", () => {
    expect(tokenizer.encode("<s>")).toEqual([2]);
    expect(tokenizer.encode("<s>", { specialTokens: "text" })).not.toContain(2);
    expect(tokenizer.encode("a</s>b")).toContain(3);
  });

  it("gives back the lines it learnt from when their special tokens are taken for text", () => {
    // Words at spaces only keeps 36 words, so most of its lines hold unknown ones; so do characters never counted.
    for (const line of lines) {
      const ids = tokenizer.encode(line, { specialTokens: "text" });
      if (!ids.includes(1)) expect(tokenizer.decode(ids)).toBe(line);
    }
  });

  it("loads from its own JSON and encodes alike", () => {
    const again = loadTokenizer(JSON.parse(JSON.stringify(tokenizer)));
    expect(again.constructor).toBe(tokenizer.constructor);
    expect(JSON.stringify(again)).toBe(JSON.stringify(tokenizer));
    for (const text of [...lines, ...awkward.map(([, text]) => text)])
      expect(again.encode(text)).toEqual(tokenizer.encode(text));
  });

  it("refuses an id that it does not have", () => {
    expect(() => tokenizer.decode([tokenizer.vocabularySize])).toThrow(
      `ids: ${tokenizer.vocabularySize} is no token's id`,
    );
  });
});

describe.each(kinds.filter(([, tokenizer]) => tokenizer.idOf("<0xFF>") !== undefined))(
  "%s: nothing is unknown",
  (_, tokenizer) => {
    it.each(awkward)("gives back %s", (_, text) => {
      expect(tokenizer.decode(tokenizer.encode(text, { specialTokens: "text" }))).toBe(text);
    });

    it("gives back any text, and never says unknown", () => {
      fc.assert(
        fc.property(anyText, (text) => {
          const ids = tokenizer.encode(text, { specialTokens: "text" });
          expect(ids).not.toContain(tokenizer.special.unknown);
          expect(tokenizer.decode(ids)).toBe(text);
        }),
        { numRuns: 500 },
      );
    });

    it("gives back U+FFFD for an unpaired surrogate", () => {
      expect(tokenizer.decode(tokenizer.encode("a\ud800b\udc00"))).toBe("a\ufffdb\ufffd");
    });
  },
);

describe("special tokens of the user's own", () => {
  const tokenizer = BpeTokenizer.train(lines, { vocabularySize: 500, specialTokens: ["<de>", "<de-AT>"] });

  it("follow the basic four and stay whole", () => {
    expect(tokenizer.tokens("<de>a")).toEqual(["<de>", "▁a"]);
    expect(tokenizer.idOf("<de>")).toBe(4);
    expect(tokenizer.tokens("<de-AT>a")[0]).toBe("<de-AT>");
  });

  it("are left out of the text, or kept by name", () => {
    const ids = tokenizer.encode("<de>a man");
    expect(tokenizer.decode(ids)).toBe("a man");
    expect(tokenizer.decode(ids, { keepSpecialTokens: true })).toBe("<de> a man");
  });

  it.each([
    [["<pad>"], 'tokenizer.specialTokens: "<pad>" is listed twice or is one of <pad> <unk> <s> </s>'],
    [["<x>", "<x>"], 'tokenizer.specialTokens: "<x>" is listed twice'],
    [[""], "tokenizer.specialTokens: an empty token"],
    [["<0x0a>"], 'tokenizer.specialTokens: "<0x0a>" is the name of a byte'],
  ])("refuses %j", (specialTokens, message) => {
    expect(() => BpeTokenizer.train(lines, { specialTokens })).toThrow(message);
  });
});

describe("BPE", () => {
  it("cuts words as it has learnt", () => {
    // By hand: (a, b) is seen 4 times, (▁, ab) 3, (▁ab, c) 2, and (c, ab), (ab, d) once, which is too rare.
    const tokenizer = BpeTokenizer.train(["ab abc abcabd"], { vocabularySize: 1000, byteFallback: false });
    expect(tokenizer.tokens("abcabd")).toEqual(["▁abc", "ab", "d"]);
    expect(tokenizer.vocabularySize).toBe(4 + 5 + 3);
  });

  it("learns as many merges as asked, or fills the vocabulary exactly, or stops where the text gives no more", () => {
    const merges = (tokenizer: BpeTokenizer): number => Object(tokenizer.toJSON().model).merges.length;
    expect(merges(BpeTokenizer.train(lines, { merges: 50 }))).toBe(50);
    expect(BpeTokenizer.train(lines, { vocabularySize: 370 }).vocabularySize).toBe(370);
    expect(BpeTokenizer.train(lines, { vocabularySize: 100_000 }).vocabularySize).toBeLessThan(500);
  });

  it("is the same whatever the order of the lines, and whether they come at once or later", async () => {
    const expected = JSON.stringify(BpeTokenizer.train(lines, { vocabularySize: 370 }));
    expect(JSON.stringify(BpeTokenizer.train(lines.toReversed(), { vocabularySize: 370 }))).toBe(expected);
    const later = async function* (): AsyncGenerator<string> {
      yield* lines;
    };
    expect(JSON.stringify(await BpeTokenizer.train(later(), { vocabularySize: 370 }))).toBe(expected);
  });

  it("gives tokenised text back as it was, spaces and all", () => {
    const tokenised = ["a man 's hat , he said @-@ &apos; isn &apos;t", "zwei junge weiße männer sind im freien ."];
    const tokenizer = BpeTokenizer.train(tokenised, { vocabularySize: 400, splitPunctuation: false });
    for (const line of tokenised) expect(tokenizer.decode(tokenizer.encode(line))).toBe(line);
  });

  it("never learns a token that would be read as a byte or as a special token", () => {
    const tokenizer = BpeTokenizer.train(["x<0x41> x<0x41> x|a| x|a|"], {
      vocabularySize: 2000,
      splitPunctuation: false,
      specialTokens: ["x|a|"],
    });
    expect(tokenizer.tokens("<0x41>")).not.toContain("<0x41>");
    expect(tokenizer.decode(tokenizer.encode("<0x41>"))).toBe("<0x41>");
    expect(tokenizer.decode(tokenizer.encode("x|a|", { specialTokens: "text" }))).toBe("x|a|");
  });

  it.each([
    [
      { vocabularySize: 100 },
      /tokenizer\.vocabularySize: 100 is too small: 260 special tokens and bytes and \d+ characters take \d+/,
    ],
    [{ vocabularySize: 2.5 }, "tokenizer.vocabularySize: must be a whole number, 1 or more (got 2.5)"],
    [{ vocabularySize: 900, merges: 3 }, "tokenizer: vocabularySize and merges both say when to stop"],
    [{ characterCoverage: 0 }, "tokenizer.characterCoverage: must be above 0 and at most 1 (got 0)"],
    [{ minimumFrequency: 0 }, "tokenizer.minimumFrequency: must be a whole number, 1 or more (got 0)"],
  ])("refuses %j", (options, message) => {
    expect(() => BpeTokenizer.train(lines, options)).toThrow(message);
  });

  it("refuses a string in place of lines, and lines without text", () => {
    expect(() => BpeTokenizer.train("a man")).toThrow("Wrap it: [text]");
    expect(() => BpeTokenizer.train(["", ""])).toThrow("tokenizer: there is no text to learn from");
  });
});

describe("BPE dropout", () => {
  const tokenizer = BpeTokenizer.train(lines, { vocabularySize: 500 });
  const random = (seed: number): RandomStream => new RandomStream(randomKey(seed));

  it("keeps the text, whatever it leaves out", () => {
    fc.assert(
      fc.property(anyText, fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(), (text, dropout, seed) => {
        const ids = tokenizer.encode(text, { dropout, random: random(seed), specialTokens: "text" });
        expect(tokenizer.decode(ids)).toBe(text);
      }),
    );
  });

  it("merges nothing at 1 and everything at 0", () => {
    expect(tokenizer.tokens(sentence, { dropout: 1, random: random(1) })).toEqual([
      ...("▁" + sentence.replaceAll(" ", "▁")),
    ]);
    expect(tokenizer.encode(sentence, { dropout: 0, random: random(1) })).toEqual(tokenizer.encode(sentence));
  });

  it("cuts differently as the stream goes on, and alike from the same place of it", () => {
    const once = random(7);
    const cuts = Array.from({ length: 50 }, () => tokenizer.tokens(sentence, { dropout: 0.3, random: once }).join(" "));
    expect(new Set(cuts).size).toBeGreaterThan(10);
    const again = random(7);
    expect(tokenizer.tokens(sentence, { dropout: 0.3, random: again }).join(" ")).toBe(cuts[0]);
    expect(tokenizer.encode(sentence)).toEqual(BpeTokenizer.train(lines, { vocabularySize: 500 }).encode(sentence));
  });

  it("leaves a word of one merge whole as often as it should", () => {
    const small = BpeTokenizer.train(["aa aa"], { merges: 1, byteFallback: false });
    // (▁, a) and (a, a) are seen equally often; ▁ is the first of all characters.
    expect(small.tokens("aa")).toEqual(["▁a", "a"]);
    const stream = random(3);
    let whole = 0;
    for (let i = 0; i < 10_000; i++) if (small.encode("aa", { dropout: 0.1, random: stream }).length === 2) whole++;
    // Binomial(10000, 0.9) has a standard deviation of 30.
    expect(whole).toBeGreaterThan(8850);
    expect(whole).toBeLessThan(9150);
  });

  it("is refused without a stream, out of range, and where there are no merges", () => {
    expect(() => tokenizer.encode("a", { dropout: 0.1 })).toThrow("encode: dropout needs random");
    expect(() => tokenizer.encode("a", { dropout: 1.5, random: random(1) })).toThrow(
      "encode: dropout must be from 0 to 1 (got 1.5)",
    );
    for (const other of [CharacterTokenizer.train(["a"]), WordTokenizer.train(["a"])]) {
      expect(() => other.encode("a", { dropout: 0.1, random: random(1) })).toThrow("encode: dropout leaves out merges");
    }
  });
});

describe("characters", () => {
  it("keep the most frequent when there is no room for all", () => {
    const tokenizer = CharacterTokenizer.train(["aaabbc"], { vocabularySize: 7 });
    expect(tokenizer.tokens("abc d")).toEqual(["a", "b", "<unk>", "▁", "<unk>"]);
  });

  it("refuse a vocabulary with no room", () => {
    expect(() => CharacterTokenizer.train(["a"], { vocabularySize: 5 })).toThrow(
      "tokenizer.vocabularySize: 5 leaves no room for characters",
    );
  });
});

describe("words", () => {
  it("keep the most frequent, and the space before them", () => {
    const tokenizer = WordTokenizer.train(["the cat, the dog"], { vocabularySize: 6 });
    expect(tokenizer.tokens("the cat, the dog")).toEqual(["▁the", "<unk>", ",", "▁the", "<unk>"]);
  });

  it("leave out words seen too rarely", () => {
    const tokenizer = WordTokenizer.train(["a a b"], { minimumFrequency: 2 });
    expect(tokenizer.idOf("▁a")).toBe(4);
    expect(tokenizer.idOf("▁b")).toBeUndefined();
  });
});

describe("trainTokenizer", () => {
  it.each([
    ["bpe", BpeTokenizer],
    ["character", CharacterTokenizer],
    ["word", WordTokenizer],
  ] as const)("makes a %s tokenizer", async (type, expected) => {
    expect(await trainTokenizer({ type, vocabularySize: 400 }, lines)).toBeInstanceOf(expected);
  });

  it("names the types when the type is none of them", async () => {
    await expect(trainTokenizer({ type: "unigram" as "bpe" }, lines)).rejects.toThrow(
      'tokenizer.type: must be bpe, character or word (got "unigram")',
    );
  });
});
