import { describe, expect, it } from "vitest";
import { beamSearch, following, greedySearch, overCharacters, sample, trie } from "../../src/decode/index.ts";
import { hashed, TableStepper } from "./table-stepper.ts";

const [end, start] = [0, 1];

describe("an output held to a list", () => {
  const sequences = [[2, 3], [2, 3, 4], [5], [6, 2, 6, 2]];
  const names = sequences.map((sequence) => sequence.join(" "));

  it("is one of the list, whole, whatever the model thinks", async () => {
    const keys = Array.from({ length: 30 }, (_, key) => key);
    const processors = [following(trie(sequences, end))];
    const options = { start, end, maxTokens: 9, processors };
    const seen = new Set<string>();
    const stepper = () => new TableStepper({ keys, conditional: hashed({ endBias: -2 }) });
    for (const { tokens, finished } of [
      ...(await greedySearch(stepper(), options)),
      ...(await sample(stepper(), { ...options, seed: 1 })),
    ]) {
      expect(names).toContain(tokens.join(" "));
      expect(finished).toBe(true);
      seen.add(tokens.join(" "));
    }
    expect(seen.size).toBe(sequences.length);
  });

  it("with a beam as wide as the list is each of the list once", async () => {
    const stepper = new TableStepper({ keys: [0], conditional: hashed() });
    const processors = [following(trie(sequences, end))];
    const [list] = await beamSearch(stepper, { start, end, maxTokens: 9, beams: 4, nbest: 4, processors });
    expect(list!.map(({ tokens }) => tokens.join(" ")).sort()).toEqual(names.toSorted());
  });

  it("continues a prompt without reading it", async () => {
    const stepper = new TableStepper({ keys: [0], conditional: hashed(), before: [[9, 9]] });
    const [output] = await greedySearch(stepper, {
      start: [[9, 9, 7]],
      end,
      maxTokens: 9,
      processors: [following(trie([[2, 3]], end))],
    });
    expect(output!.tokens).toEqual([2, 3]);
  });

  it("refuses an empty list", () => {
    expect(() => trie([])).toThrow(/no sequence/);
  });
});

describe("an automaton over characters", () => {
  // One or more digits, then perhaps a dot and exactly two digits. States: 0 nothing, 1 digits, 2 dot, 3 one digit after it, 4 two.
  const price = {
    start: 0,
    next: (state: number, character: string): number | undefined => {
      if (character === ".") return state === 1 ? 2 : undefined;
      if (!/\d/.test(character)) return undefined;
      return [1, 1, 3, 4, undefined][state];
    },
    isWhole: (state: number) => state === 1 || state === 4,
  };
  const texts = [undefined, undefined, "1", "23", ".", ".5", "x", "9.9", "0", ""];
  const automaton = overCharacters(price, { vocabularySize: texts.length, textOf: (token) => texts[token], end });

  it("allows the tokens whose every character may come, and END where the text may end", () => {
    expect([...automaton.allowed(0)]).toEqual([2, 3, 7, 8]);
    expect([...automaton.allowed(1)]).toEqual([2, 3, 4, 5, 7, 8, end]);
    expect([...automaton.allowed(2)]).toEqual([2, 3, 8]);
    expect([...automaton.allowed(3)]).toEqual([2, 8]);
    expect([...automaton.allowed(4)]).toEqual([end]);
  });

  it("makes every output a word of its language, tokens cut as they may", async () => {
    const keys = Array.from({ length: 200 }, (_, key) => key);
    const stepper = new TableStepper({ keys, conditional: hashed({ vocabularySize: texts.length, endBias: 1 }) });
    const processors = [following(automaton)];
    const outputs = await sample(stepper, { start, end, maxTokens: 40, seed: 2, processors });
    const written = outputs.map(({ tokens }) => tokens.map((token) => texts[token]).join(""));
    for (const [i, text] of written.entries()) if (outputs[i]!.finished) expect(text).toMatch(/^\d+(\.\d\d)?$/);
    expect(written.some((text) => text.includes("."))).toBe(true);
  });
});
