import { describe, expect, it } from "vitest";
import {
  beamSearch,
  generate,
  greedySearch,
  minimumTokens,
  noRepeatNgram,
  repetitionPenalty,
} from "../../src/decode/index.ts";
import { hashed, TableStepper } from "./table-stepper.ts";

const base = { decoder_start_token_id: 1, eos_token_id: 0, pad_token_id: 2, transformers_version: "4.37.0" };
const stepper = () => new TableStepper({ keys: [0, 1, 2], conditional: hashed({ endBias: 1 }) });

describe("a generation configuration", () => {
  it("counts the start token in its lengths and applies the repetition penalty before the bans", async () => {
    const config = {
      ...base,
      num_beams: 3,
      max_length: 9,
      min_length: 5,
      no_repeat_ngram_size: 2,
      repetition_penalty: 1.4,
      length_penalty: 0.7,
    };
    const direct = await beamSearch(stepper(), {
      start: 1,
      end: 0,
      maxTokens: 8,
      beams: 3,
      lengthPenalty: 0.7,
      processors: [repetitionPenalty(1.4), noRepeatNgram(2), minimumTokens(4, [0])],
    });
    expect(await generate(stepper(), config)).toEqual(direct);
  });

  it("without beams is greedy, on raw scores where a repetition penalty is set", async () => {
    const plain = await generate(stepper(), { ...base, max_new_tokens: 7 });
    expect(plain.flat()).toEqual(await greedySearch(stepper(), { start: 1, end: 0, maxTokens: 7 }));
    const penalised = stepper();
    await generate(penalised, { ...base, max_new_tokens: 7, repetition_penalty: 2 });
    expect(penalised.calls).toMatchObject({ all: 0, top: 0, logits: penalised.calls.steps });
  });

  it("takes lengths from max_new_tokens over max_length, and a prompt out of max_length", async () => {
    const prompts = [
      [4, 1],
      [5, 1],
      [6, 1],
    ];
    const given = { keys: [0, 1, 2], conditional: hashed({ endBias: -9 }), before: [[4], [5], [6]] };
    for (const [config, length] of [
      [{ max_length: 10 }, 8],
      [{ max_length: 10, max_new_tokens: 3 }, 3],
      [{}, 18],
    ] as const) {
      const outputs = await generate(new TableStepper(given), { ...base, ...config }, { prompts });
      expect(outputs.map(([best]) => best!.tokens.length)).toEqual([length, length, length]);
    }
  });

  it("draws samples by its seed", async () => {
    const config = { ...base, do_sample: true, temperature: 1.3, top_p: 0.9, max_length: 12 };
    const [a, b, c] = await Promise.all([1, 1, 2].map((seed) => generate(stepper(), config, { seed })));
    expect(a).toEqual(b);
    expect(a).not.toEqual(c);
  });

  it.each([
    [{ penalty_alpha: 0.6 }, /penalty_alpha: the search cannot honour 0.6/],
    [{ num_beams: "4" }, /num_beams: expected a number, got "4"/],
    [{ early_stopping: "sometimes" }, /early_stopping/],
    [{ num_beams: 4, num_beam_groups: 2, do_sample: true }, /num_beam_groups: groups of beams do not draw/],
    [{ num_return_sequences: 2 }, /num_return_sequences/],
    [{ encoder_no_repeat_ngram_size: 2 }, /Give `sources`/],
    [{ decoder_start_token_id: null }, /no token to start from/],
    [{ forced_eos_token_id: [0, 1] }, /several forced ends/],
  ])("refuses %o", async (config, message) => {
    await expect(generate(stepper(), { ...base, ...config })).rejects.toThrow(message);
  });
});
