// Every number, text and signature that sacreBLEU 2.6.0 gave for the shared test sets.
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  Bleu,
  bleuTokenizers,
  bootstrapCorpus,
  Chrf,
  Ter,
  type BleuTokenizer,
  type Metric,
  type Score,
} from "../../src/metrics/index.ts";
import { shared, sharedFile } from "../shared.ts";

interface SignatureFixture {
  long: string;
  short: string;
}
interface CorpusFixture {
  args: Record<string, unknown>;
  score: number;
  text: string;
  signature: SignatureFixture;
  counts?: number[];
  totals?: number[];
  precisions?: number[];
  bp?: number;
  sys_len?: number;
  ref_len?: number;
  num_edits?: number;
  ref_length?: number;
}
interface SentenceFixture {
  args: Record<string, unknown>;
  scores: number[];
  signature: SignatureFixture;
}
interface Fixture {
  hypotheses: string[];
  references: (string | null)[][];
  bleu: CorpusFixture[];
  chrf: CorpusFixture[];
  ter: CorpusFixture[];
  sentence_bleu: SentenceFixture[];
  sentence_chrf: SentenceFixture[];
  sentence_ter: SentenceFixture[];
  tokenized: Record<string, string[]>;
  bootstrap_bleu_1000?: { mean: number; ci: number };
}

/** `max_ngram_order: 2` as our options have it: `maxNgramOrder: 2`. */
function options(args: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(args).filter(([, value]) => value !== null);
  return Object.fromEntries(
    entries.map(([key, value]) => [key.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()), value]),
  );
}

const folder = shared === undefined ? undefined : sharedFile("fixtures", "metrics");
const files = folder === undefined ? [] : readdirSync(folder).filter((name) => name.endsWith(".json"));

describe.skipIf(folder === undefined)("sacreBLEU's numbers [skipped: set HEDDLE_SHARED]", () => {
  it("has fixtures to read", () => expect(files.length).toBeGreaterThan(0));

  describe.each(files)("%s", (name) => {
    const fixture = JSON.parse(readFileSync(`${folder}/${name}`, "utf8")) as Fixture;
    const { hypotheses, references } = fixture;

    const sameScore = (score: Score, expected: CorpusFixture) => {
      expect(Math.abs(score.score - expected.score)).toBeLessThan(1e-9);
      expect(score.text).toBe(expected.text);
      expect({ long: score.signature.long, short: score.signature.short }).toEqual(expected.signature);
    };
    const sameSentences = (metric: Metric, expected: SentenceFixture) => {
      const scores = hypotheses.map((line, i) =>
        metric.sentence(
          line,
          references.map((stream) => stream[i] ?? null),
        ),
      );
      for (const [i, score] of scores.entries()) {
        expect(
          Math.abs(score.score - expected.scores[i]!),
          `line ${i + 1}: ${score.score}, not ${expected.scores[i]}`,
        ).toBeLessThan(1e-9);
      }
      // The signature is that of the last line.
      const { long, short } = scores.at(-1)!.signature;
      expect({ long, short }).toEqual(expected.signature);
    };

    it.each(fixture.bleu)("corpus BLEU $args", (expected) => {
      const score = new Bleu(options(expected.args)).corpus(hypotheses, references);
      sameScore(score, expected);
      expect(score.counts.counts).toEqual(expected.counts);
      expect(score.counts.totals).toEqual(expected.totals);
      expect(score.counts.precisions.map((x) => x.toFixed(9))).toEqual(expected.precisions?.map((x) => x.toFixed(9)));
      expect(score.counts.brevityPenalty).toBeCloseTo(expected.bp!, 12);
      expect([score.counts.hypothesisLength, score.counts.referenceLength]).toEqual([
        expected.sys_len,
        expected.ref_len,
      ]);
    });

    it.each(fixture.chrf)("corpus chrF $args", (expected) =>
      sameScore(new Chrf(options(expected.args)).corpus(hypotheses, references), expected),
    );

    it.each(fixture.ter)("corpus TER $args", (expected) => {
      const score = new Ter(options(expected.args)).corpus(hypotheses, references);
      sameScore(score, expected);
      expect(score.counts.edits).toBe(expected.num_edits);
      expect(score.counts.referenceLength).toBeCloseTo(expected.ref_length!, 9);
    });

    it.each(fixture.sentence_bleu)("sentence BLEU $args", (expected) =>
      sameSentences(new Bleu(options(expected.args)), expected),
    );
    it.each(fixture.sentence_chrf)("sentence chrF $args", (expected) =>
      sameSentences(new Chrf(options(expected.args)), expected),
    );
    it.each(fixture.sentence_ter)("sentence TER $args", (expected) =>
      sameSentences(new Ter(options(expected.args)), expected),
    );

    it.each(Object.keys(fixture.tokenized))("tokenizer %s", (tokenizer) => {
      const expected = fixture.tokenized[tokenizer]!; // the first lines only, in some files
      expect(expected.length).toBeGreaterThan(0);
      const lines = hypotheses.slice(0, expected.length);
      expect(lines.map((line) => bleuTokenizers[tokenizer as BleuTokenizer](line))).toEqual(expected);
    });

    it.runIf(fixture.bootstrap_bleu_1000)(
      "bootstrap mean and interval are near those of another generator's draws",
      () => {
        const expected = fixture.bootstrap_bleu_1000!;
        const { mean, halfWidth } = bootstrapCorpus(new Bleu(), hypotheses, references).confidence!;
        const within = Math.max(0.5, 0.15 * expected.ci); // as the fixtures say
        expect(Math.abs(mean - expected.mean)).toBeLessThanOrEqual(within);
        expect(Math.abs(halfWidth - expected.ci)).toBeLessThanOrEqual(within);
      },
    );
  });
});
