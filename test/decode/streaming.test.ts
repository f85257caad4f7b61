import { describe, expect, it } from "vitest";
import {
  beforeStop,
  greedySearch,
  sample,
  SearchAborted,
  stopStrings,
  streamGreedy,
  streamSample,
  type Hypothesis,
  type StreamedToken,
} from "../../src/decode/index.ts";
import { hashed, TableStepper } from "./table-stepper.ts";

const [end, start] = [0, 1];
const keys = [0, 1, 2];
const stepper = () => new TableStepper({ keys, conditional: hashed({ endBias: 1 }) });
const options = { start, end, maxTokens: 9 };

async function drain(
  stream: AsyncGenerator<StreamedToken, Hypothesis[]>,
): Promise<{ tokens: number[][]; results: Hypothesis[] }> {
  const tokens: number[][] = keys.map(() => []);
  for (;;) {
    const { done, value } = await stream.next();
    if (done === true) return { tokens, results: value };
    tokens[value.sentence]!.push(value.token);
  }
}

describe("a stream of tokens", () => {
  it("has the tokens of the search, and returns its outputs", async () => {
    const greedy = await drain(streamGreedy(stepper(), options));
    expect(greedy.results).toEqual(await greedySearch(stepper(), options));
    expect(greedy.tokens).toEqual(greedy.results.map(({ tokens }) => tokens));
    const drawn = await drain(streamSample(stepper(), { ...options, seed: 4 }));
    expect(drawn.results).toEqual(await sample(stepper(), { ...options, seed: 4 }));
    expect(drawn.tokens).toEqual(drawn.results.map(({ tokens }) => tokens));
  });

  it("comes step by step, and who leaves it asks for no further step", async () => {
    const table = stepper();
    for await (const { token } of streamGreedy(table, { ...options, end: [] })) {
      expect(token).toBeTypeOf("number");
      if (table.calls.steps === 3) break;
    }
    expect(table.calls.steps).toBe(3);
  });

  it("ends with an AbortError once its signal is raised", async () => {
    const signal = { aborted: false };
    const table = stepper();
    const read = async (): Promise<void> => {
      for await (const { sentence } of streamGreedy(table, { ...options, end: [], signal: signal as AbortSignal }))
        if (sentence === 2 && table.calls.steps === 2) signal.aborted = true;
    };
    await expect(read()).rejects.toThrow(SearchAborted);
    expect(table.calls.steps).toBe(2);
  });
});

describe("stop strings", () => {
  const textOf = (tokens: readonly number[]): string => tokens.map((token) => "··abcdefghi"[token]).join("");

  it("end an output where the text holds one, across tokens too, and its text is cut before it", async () => {
    const open = await greedySearch(stepper(), { ...options, end: [], maxTokens: 20 });
    for (const [i, { tokens }] of open.entries()) {
      const text = textOf(tokens);
      const wanted = text.slice(4, 7);
      const stop = stopStrings(["nowhere", wanted], textOf);
      const [output] = await greedySearch(new TableStepper({ keys: [keys[i]!], conditional: hashed({ endBias: 1 }) }), {
        ...options,
        end: [],
        maxTokens: 20,
        stop,
      });
      const length = text.indexOf(wanted) + 3;
      expect(output).toMatchObject({ tokens: tokens.slice(0, length), finished: true });
      expect(beforeStop(textOf(output!.tokens), [wanted])).toBe(text.slice(0, length - 3));
    }
  });

  it.each([
    ["ab cd", ["cd", "b"], "a"],
    ["ab cd", ["x"], "ab cd"],
    ["ab cd", [], "ab cd"],
  ])("%j before the first of %j is %j", (text, strings, expected) => {
    expect(beforeStop(text, strings)).toBe(expected);
  });

  it("are never empty", () => {
    expect(() => stopStrings([""], textOf)).toThrow(/stands everywhere/);
  });
});
