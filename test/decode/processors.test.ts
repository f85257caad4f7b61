import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  allowedTokens,
  badWords,
  epsilonCutoff,
  etaCutoff,
  forcedFirst,
  forcedLast,
  forcedPrefix,
  greedySearch,
  beamSearch,
  lengthDecay,
  minimumTokens,
  noRepeatNgram,
  noSourceNgram,
  nucleus,
  renormalised,
  repetitionPenalty,
  suppressed,
  suppressedAt,
  temperature,
  topK,
  typical,
  wordBias,
  type Prefix,
  type ScoreProcessor,
  type Stepper,
} from "../../src/decode/index.ts";
import { shared, sharedFile } from "../shared.ts";
import { hashed, TableStepper, type Conditional } from "./table-stepper.ts";

const end = 0;
const start = 1;

/** All arguments of all cases; each has the few that its kind takes. */
interface Arguments {
  temperature: number;
  top_k: number;
  top_p: number;
  min_tokens_to_keep: number;
  mass: number;
  epsilon: number;
  penalty: number;
  ngram_size: number;
  encoder_input_ids: number[][];
  min_length: number;
  min_new_tokens: number;
  prompt_length_to_skip?: number;
  max_length: number;
  eos_token_id: number;
  bos_token_id: number;
  bad_words_ids: number[][];
  start: number;
  factor: number;
  tokens: number[];
  begin_index: number;
  bias: [number[], number][];
}

interface Case {
  name: string;
  args: Arguments;
  input_ids: number[][];
  scores: (number | null)[][];
}

/** The reference's arguments → ours. There the lengths count the prompt; here `given` tokens of it were given. */
const made: Record<string, (args: Arguments, given: number) => ScoreProcessor> = {
  temperature: ({ temperature: value }) => temperature(value),
  top_k: ({ top_k }) => topK(top_k),
  top_p: ({ top_p }) => nucleus(top_p),
  top_p_min_keep: ({ top_p, min_tokens_to_keep }) => nucleus(top_p, min_tokens_to_keep),
  typical: ({ mass }) => typical(mass),
  epsilon: ({ epsilon }) => epsilonCutoff(epsilon),
  eta: ({ epsilon }) => etaCutoff(epsilon),
  repetition_penalty: ({ penalty }) => repetitionPenalty(penalty),
  no_repeat_ngram: ({ ngram_size }) => noRepeatNgram(ngram_size),
  encoder_no_repeat_ngram: ({ ngram_size, encoder_input_ids }) => noSourceNgram(ngram_size, encoder_input_ids),
  min_length: ({ min_length, eos_token_id }, given) => minimumTokens(min_length - given, [eos_token_id]),
  min_new_tokens: ({ min_new_tokens, eos_token_id }) => minimumTokens(min_new_tokens, [eos_token_id]),
  bad_words: ({ bad_words_ids }) => badWords(bad_words_ids),
  forced_bos: ({ bos_token_id }) => forcedFirst(bos_token_id),
  forced_eos: ({ max_length, eos_token_id }, given) => forcedLast(eos_token_id, max_length - given),
  exponential_decay_length: ({ start: after, factor, eos_token_id }) =>
    lengthDecay({ after, factor, ends: [eos_token_id] }),
  suppress_tokens: ({ tokens }) => suppressed(tokens),
  suppress_at_begin: ({ tokens, begin_index }, given) => suppressedAt(begin_index - given, tokens),
  sequence_bias: ({ bias }) => wordBias(bias),
};

describe.skipIf(!shared)("score processors against transformers 4.37 [skipped: set HEDDLE_SHARED]", () => {
  const fixture =
    shared === undefined
      ? undefined
      : JSON.parse(readFileSync(sharedFile("fixtures/hf/generation/logits_processors.json"), "utf8"));
  const cases: Case[] = fixture?.cases ?? [];

  it.each(cases.map((one, i) => ({ ...one, title: `${i} ${one.name} ${JSON.stringify(one.args)}` })))(
    "$title",
    ({ name, args, input_ids, scores }) => {
      const given = args.prompt_length_to_skip ?? 1;
      const processor = made[name]!(args, given);
      for (const [sentence, ids] of input_ids.entries()) {
        const tokens = Int32Array.from(ids);
        const prefix: Prefix = { sentence, tokens, length: ids.length, generated: ids.length - given };
        const row = Float32Array.from(fixture.scores_in[sentence]);
        processor.process(prefix, row);
        for (const [token, expected] of scores[sentence]!.entries()) {
          if (expected === null) expect(row[token], `token ${token}`).toBe(-Infinity);
          else expect(Math.abs(row[token]! - expected), `token ${token}`).toBeLessThan(1e-5);
        }
      }
    },
  );

  it("covers every kind in the file", () => {
    expect(cases.map(({ name }) => name).filter((name) => !(name in made))).toEqual([]);
    expect(cases.length).toBeGreaterThan(20);
  });
});

/** The same processor, but forced over whole rows. */
const overRows = ({ process }: ScoreProcessor): ScoreProcessor => ({ process });

describe("processors in a search", () => {
  const keys = [0, 1, 2, 3];
  const search = (
    processors: readonly ScoreProcessor[],
    conditional: Conditional = hashed({ endBias: 1 }),
    beams = 4,
  ) => {
    const stepper = new TableStepper({ keys, conditional });
    return { stepper, outputs: beamSearch(stepper, { start, end, maxTokens: 8, beams, nbest: beams, processors }) };
  };

  it.each<[string, ScoreProcessor[]]>([
    ["minimum length", [minimumTokens(4, [end])]],
    ["suppressed tokens", [suppressed([2, 3, 4])]],
    ["bad words", [badWords([[5], [6, 7], [1, 8], [2, 2, 2]])]],
    ["no repeated bigrams", [noRepeatNgram(2)]],
    ["no repeated tokens", [noRepeatNgram(1)]],
    ["a forced first token", [forcedFirst(9)]],
    ["a forced last token", [forcedLast(end, 8)]],
    ["a prefix of some sentences", [forcedPrefix([[3, 4, 5], [], [7], [10, 10]])]],
    [
      "all of them, the bans first",
      [noRepeatNgram(2), suppressed([2]), minimumTokens(3, [end]), forcedFirst(2), forcedLast(end, 8)],
    ],
    ["a forced token that is banned afterwards", [forcedPrefix([[3], [], [4]]), suppressed([3])]],
  ])("%s: rules and whole rows give the same", async (_, processors) => {
    for (let seed = 1; seed <= 15; seed++) {
      const conditional = hashed({ seed, endBias: 1, vocabularySize: 13 });
      const byRules = search(processors, conditional);
      const byRows = search(processors.map(overRows), conditional);
      expect(await byRules.outputs).toEqual(await byRows.outputs);
      expect(byRules.stepper.calls.all).toBe(0);
      expect(byRows.stepper.calls.top).toBe(0);
    }
  });

  it("asks for whole rows where the bans are many", async () => {
    const stepper = new TableStepper({ keys: [0], conditional: hashed({ vocabularySize: 200 }) });
    const banned = Array.from({ length: 150 }, (_, i) => i + 20);
    const outputs = await beamSearch(stepper, { start, end, maxTokens: 5, beams: 3, processors: [suppressed(banned)] });
    expect(stepper.calls.top).toBe(0);
    expect(outputs[0]![0]!.tokens.filter((token) => banned.includes(token))).toEqual([]);
  });

  it("no repeated n-gram stands in an output", async () => {
    const { outputs } = search([noRepeatNgram(2)], () => [-9, 0, 2, 3, 2, 1]);
    for (const { tokens } of (await outputs).flat()) {
      const bigrams = [start, ...tokens].slice(1).map((token, i) => `${[start, ...tokens][i]} ${token}`);
      expect(new Set(bigrams).size).toBe(bigrams.length);
    }
  });

  it("a bad word of several tokens is banned only as a whole", async () => {
    // 2 then 3 is by far the likeliest; 3 itself stays possible elsewhere.
    const conditional: Conditional = (_, tokens) => (tokens.at(-1) === 2 ? [0, -9, -9, 5, 1] : [-9, -9, 5, 1, 0]);
    const greedy = (processors: ScoreProcessor[]) =>
      greedySearch(new TableStepper({ keys: [0], conditional }), { start, end, maxTokens: 4, processors });
    expect((await greedy([]))[0]!.tokens).toEqual([2, 3, 2, 3]);
    expect((await greedy([badWords([[2, 3]])]))[0]!.tokens).toEqual([2, 4, 2, 4]);
  });

  it("only allowed tokens come, and a dead end leaves the hypothesis unfinished", async () => {
    const allowed = allowedTokens(({ generated }) => (generated < 3 ? [4, 5] : []));
    const stepper = () => new TableStepper({ keys: [0], conditional: hashed() });
    const [beam] = await beamSearch(stepper(), { start, end, maxTokens: 9, beams: 4, nbest: 4, processors: [allowed] });
    expect(beam).toEqual([]);
    const [greedy] = await greedySearch(stepper(), { start, end, maxTokens: 9, processors: [allowed] });
    expect(greedy).toMatchObject({ finished: false });
    expect(greedy!.tokens).toHaveLength(3);
  });

  it("fewer ways than beams give fewer hypotheses, each once", async () => {
    const { outputs } = search([allowedTokens(({ generated }) => (generated < 2 ? [4, 5] : [end]))], hashed(), 6);
    for (const list of await outputs) {
      expect(list.map(({ tokens }) => tokens.join(" ")).sort()).toEqual(["4 4", "4 5", "5 4", "5 5"]);
      expect(list.every(({ finished }) => finished)).toBe(true);
    }
  });

  it("a repetition penalty acts on log-probabilities or on logits as it is told, and the choice can differ", async () => {
    // Worked by hand: token 2 stands (it is the start). Logits 3 and 2; penalty 2 halves the 3: token 3 wins. As
    // log-probabilities they are −0.31 and −1.31: doubled, −0.63 still wins.
    const stepper = () => new TableStepper({ keys: [0], conditional: () => [-9, -9, 3, 2] });
    const options = { start: 2, end, maxTokens: 1, processors: [repetitionPenalty(2)] };
    expect((await greedySearch(stepper(), { ...options, scale: "logits" }))[0]!.tokens).toEqual([3]);
    expect((await greedySearch(stepper(), options))[0]!.tokens).toEqual([2]);
  });

  it("raw scores asked of a model that does not show them are refused", async () => {
    const { sentences, vocabularySize, topCandidates, logProbabilities } = new TableStepper({
      keys: [0],
      conditional: hashed(),
    });
    const stepper: Stepper = { sentences, vocabularySize, topCandidates, logProbabilities };
    expect(() => greedySearch(stepper, { start, maxTokens: 3, scale: "logits" })).toThrow(/not its logits/);
  });

  it("renormalising gives probabilities that sum to one", () => {
    const row = Float32Array.of(1, 2, -Infinity, 0.5);
    renormalised().process({ sentence: 0, generated: 0, length: 1, tokens: Int32Array.of(1) }, row);
    expect(row.reduce((sum, x) => sum + Math.exp(x), 0)).toBeCloseTo(1, 6);
    expect(row[2]).toBe(-Infinity);
  });

  it.each([
    [() => temperature(0), /temperature/],
    [() => nucleus(1.5), /nucleus/],
    [() => topK(0), /topK/],
    [() => noRepeatNgram(0), /noRepeatNgram/],
    [() => repetitionPenalty(-1), /repetitionPenalty/],
    [() => badWords([[]]), /badWords: word 0/],
  ])("refuses senseless numbers: %s", (make, message) => {
    expect(make).toThrow(message);
  });
});
