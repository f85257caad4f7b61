import { describe, expect, it } from "vitest";
import { Bleu, bootstrapCorpus, Chrf, fixed, splitWords, Ter, trimEnd } from "../../src/metrics/index.ts";

describe("fixed", () => {
  // As C's printf and Python's format give them: exact ties go to the even digit, others to the nearer.
  it.each([
    [31.25, 1, "31.2"],
    [18.75, 1, "18.8"],
    [0.5, 0, "0"],
    [1.5, 0, "2"],
    [62.5, 0, "62"],
    [3.125, 2, "3.12"],
    [2.675, 2, "2.67"],
    [0.125, 3, "0.125"],
    [99.999, 2, "100.00"],
    [100.00000000000004, 2, "100.00"],
    [-0.125, 2, "-0.12"],
    [0, 1, "0.0"],
  ])("%d with %i decimals is %s", (value, width, expected) => expect(fixed(value, width)).toBe(expected));
});

it("words end at Unicode's white space and the information separators, not at a byte order mark", () => {
  expect(splitWords("\u0085a\x1cb\u3000\ufeffc\u200bd\n")).toEqual(["a", "b", "\ufeffc\u200bd"]);
  expect(splitWords(" \t")).toEqual([]);
  expect(trimEnd("a\ufeff \x1f\u2029")).toBe("a\ufeff");
});

describe("signatures", () => {
  it("say that lines differ in their number of references", () => {
    const score = new Ter().corpus(
      ["a", "b"],
      [
        ["a", "b"],
        ["a", null],
      ],
    );
    expect(score.signature.long).toBe("nrefs:var|case:lc|tok:tercom|norm:no|punct:yes|asian:no|version:2.6.0");
    expect(score.signature.short).toBe("#:var|c:lc|t:tercom|nr:no|pn:yes|as:no|v:2.6.0");
  });

  it("count the references that are there", () => {
    expect(
      String(
        new Chrf().corpus(
          ["a", "b"],
          [
            ["a", null],
            [null, "b"],
          ],
        ).signature,
      ),
    ).toMatch(/^nrefs:1\|/);
  });

  it("name the trials of a test", () => {
    const { signature } = bootstrapCorpus(new Bleu(), ["a b"], [["a b"]], { trials: 10, seed: 7 });
    expect(signature.long).toBe("nrefs:1|bs:10|seed:7|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0");
    expect(signature.short).toBe("#:1|bs:10|rs:7|c:mixed|e:no|tok:13a|s:exp|v:2.6.0");
  });
});

describe("a printed score", () => {
  const score = new Chrf().sentence("ab", ["abcd"]); // 25/53, worked in chrf.test.ts

  it.each([
    [{}, "chrF2 = 47.17"],
    [{ width: 0 }, "chrF2 = 47"],
    [{ width: 4, scoreOnly: true }, "47.1698"],
    [{ signature: "x:y" }, "chrF2|x:y = 47.17"],
  ])("%j", (format, expected) => expect(score.format(format)).toBe(expected));

  it("shows a confidence interval before the details", () => {
    const same = ["a b c d", "e f g h"];
    expect(bootstrapCorpus(new Bleu(), same, [same], { trials: 5 }).text).toMatch(
      /^BLEU = 100\.00 \(μ = 100\.00 ± 0\.00\) 100\.0\//,
    );
  });
});
