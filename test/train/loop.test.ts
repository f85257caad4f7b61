import { describe, expect, it } from "vitest";
import { ConfigError, type HeddleEvent } from "../../src/base/index.ts";
import type { PairBatch } from "../../src/data/index.ts";
import { DivergenceError } from "../../src/train/divergence.ts";
import { train, type MetricsLine, type RunRecorder, type TrainOptions } from "../../src/train/loop.ts";
import { initialState, type TrainingState } from "../../src/train/training-state.ts";
import { numberBatches, numberPairs, numberReader, Quadratic } from "./quadratic.ts";

class Recorder implements RunRecorder {
  readonly lines: MetricsLine[] = [];
  readonly saved: TrainingState[] = [];
  readonly interim: number[] = [];

  record(line: MetricsLine): void {
    this.lines.push(line);
  }

  async save(state: TrainingState, { isInterim }: { isInterim: boolean }): Promise<void> {
    this.saved.push(state);
    if (isInterim) this.interim.push(state.step);
  }
}

function options(
  more: Partial<TrainOptions<PairBatch>> = {},
): TrainOptions<PairBatch> & { learner: Quadratic; recorder: Recorder } {
  const learner = new Quadratic();
  const recorder = new Recorder();
  const base = {
    learner,
    recorder,
    batches: numberBatches(),
    reader: numberReader,
    state: initialState(1),
    steps: 20,
    schedule: () => 0.05,
  };
  return { ...base, ...more } as ReturnType<typeof options>;
}

const steps = (states: readonly { step: number }[]): number[] => states.map(({ step }) => step);

describe("train", () => {
  it("makes as many updates as asked, with the schedule's learning rates, counted from 1", async () => {
    const run = options({ steps: 3, schedule: (step) => step / 100 });
    expect((await train(run)).reason).toBe("finished");
    expect(run.learner.updates.map(({ step, learningRate }) => [step, learningRate])).toEqual([
      [1, 0.01],
      [2, 0.02],
      [3, 0.03],
    ]);
  });

  it("learns from the same tokens with one batch or several to an update: the mean is over tokens", async () => {
    // One pair each in a batch of its own: three such batches are one batch of three.
    const [whole, parts] = [new Quadratic(), new Quadratic()];
    const noNoise = (learner: Quadratic): Quadratic =>
      Object.assign(learner, { accumulate: plainGradient.bind(undefined, learner) });
    const pairs = numberPairs(3);
    const take = (indices: readonly number[][]) => {
      let at = 0;
      return { cursor: { epoch: 0, position: 0 }, seek: () => {}, take: () => indices[at++]! };
    };
    const reader = {
      tokens: (indices: number[]) => indices.reduce((sum, i) => sum + pairs.source.lengthOf(i), 0),
      feeds: (indices: number[], tokenWeight: number) => {
        const data = Int32Array.from(indices.flatMap((i) => [...pairs.source.row(i)]));
        const one = { dtype: "float32", dims: [], data: Float32Array.of(tokenWeight) } as const;
        return { sourceIds: { dtype: "int32", dims: [data.length], data } as const, tokenWeight: one };
      },
      describe: () => "",
    };
    const common = { reader, state: initialState(1), steps: 1, schedule: () => 0.1 };
    await train({ ...common, learner: noNoise(whole), batches: take([[0, 1, 2]]) });
    await train({ ...common, learner: noNoise(parts), batches: take([[0], [1], [2]]), accumulate: 3 });
    expect(pairs.source.lengthOf(0)).not.toBe(pairs.source.lengthOf(1));
    for (const [i, value] of parts.values.weight.data.entries())
      expect(value).toBeCloseTo(whole.values.weight.data[i]!, 5);
  });

  it("scales a gradient down to the norm that was asked for, and leaves a shorter one", async () => {
    const run = options({ steps: 1, clip: 2 });
    await train(run);
    expect(run.learner.updates[0]!.gradientScale).toBeCloseTo(2 / run.learner.gradientNorm(), 12);
    const wide = options({ steps: 1, clip: 1e6 });
    await train(wide);
    expect(wide.learner.updates[0]!.gradientScale).toBe(1);
  });

  it("writes a line of metrics every logEvery steps and after the last, with means over the tokens between", async () => {
    let clockMs = 0;
    const run = options({ steps: 5, logEvery: 2, now: () => (clockMs += 500) });
    const { state } = await train(run);
    expect(steps(run.recorder.lines)).toEqual([2, 4, 5]);
    const { figures } = run.recorder.lines[2]!;
    expect(Object.keys(figures).sort()).toEqual(
      [
        "gradientNorm",
        "learningRate",
        "loss",
        "negativeLogLikelihood",
        "perplexity",
        "seconds",
        "tokens",
        "tokensPerSecond",
      ].sort(),
    );
    expect(figures.tokens).toBe(state.tokens);
    expect(figures.perplexity).toBeCloseTo(Math.exp(figures.loss! / 100), 10);
    // One reading of the clock at the start, then three an update.
    expect(figures.seconds).toBe(7.5);
  });

  it("tells its progress at every step", async () => {
    const events: HeddleEvent[] = [];
    await train(options({ steps: 3, listener: (event) => events.push(event) }));
    expect(events.filter(({ type }) => type === "progress")).toHaveLength(3);
    expect(events[2]).toMatchObject({ task: "training", done: 3, total: 3, figures: { learningRate: 0.05 } });
  });

  it("validates every so many steps and after the last, and saves the best though saveEvery is larger", async () => {
    const losses = [5, 3, 4, 2];
    const run = options({
      steps: 7,
      saveEvery: 100,
      validation: { validate: async () => ({ loss: losses.shift()! }), every: 2, metric: "loss", better: "smaller" },
    });
    const { state } = await train(run);
    expect(steps(run.recorder.lines.filter(({ kind }) => kind === "validation"))).toEqual([2, 4, 6, 7]);
    expect(steps(run.recorder.saved)).toEqual([2, 4, 7]);
    expect(state).toMatchObject({ best: { step: 7, value: 2 }, validationsSinceBest: 0 });
  });

  it("stops after `patience` validations without a better value, and does not go on when called again", async () => {
    const scores = [10, 12, 11, 12, 13];
    const validation = {
      validate: async () => ({ bleu: scores.shift()! }),
      every: 1,
      metric: "bleu",
      better: "larger",
      patience: 2,
    } as const;
    const run = options({ validation });
    const result = await train(run);
    expect(result).toMatchObject({ reason: "no longer improving", state: { step: 4, best: { step: 2, value: 12 } } });
    expect(steps(run.recorder.saved)).toEqual([1, 2, 3, 4]);
    const again = options({ validation, state: result.state });
    expect(await train(again)).toEqual(result);
    expect(again.learner.updates).toEqual([]);
  });

  it("saves where a stop request meets it, and says that the plan would have had no checkpoint there", async () => {
    const stop = { aborted: false } as { aborted: boolean } & AbortSignal;
    const run = options({
      stop,
      listener: (event) => (stop.aborted ||= event.type === "progress" && event.done === 7),
    });
    expect(await train(run)).toMatchObject({ reason: "stopped", state: { step: 7 } });
    expect(run.recorder.interim).toEqual([7]);
    expect(steps(run.recorder.saved)).toEqual([7]);
  });

  it("stops when its time is over, counted over all sessions", async () => {
    let clockMs = 0;
    const run = options({
      steps: 1000,
      minutes: 1,
      now: () => (clockMs += 1000),
      state: { ...initialState(1), seconds: 30 },
    });
    const { reason, state } = await train(run);
    expect(reason).toBe("out of time");
    expect(state.seconds).toBe(60);
    expect(run.recorder.interim).toEqual([]);
  });

  it("ends bit for bit where an uninterrupted run ends, with the same metrics, wherever it was interrupted", async () => {
    const common = { steps: 12, logEvery: 5, accumulate: 2, saveEvery: 1 };
    const whole = options(common);
    await train(whole);
    for (let interruptedAt = 1; interruptedAt < 12; interruptedAt++) {
      const first = options({ ...common, steps: 12 });
      const stop = { aborted: false } as { aborted: boolean } & AbortSignal;
      const listener = (event: HeddleEvent): void =>
        void (stop.aborted ||= event.type === "progress" && event.done === interruptedAt);
      const { state } = await train({ ...first, stop, listener });
      // Another process: the weights and moments, and the state through JSON.
      const second = options({
        ...common,
        learner: first.learner,
        state: JSON.parse(JSON.stringify(state)) as TrainingState,
      });
      await train(second);
      expect(first.learner.values).toEqual(whole.learner.values);
      const untimed = ({ lines }: Recorder) =>
        lines.map(({ step, figures }) => ({ step, figures: { ...figures, seconds: 0, tokensPerSecond: 0 } }));
      expect([...untimed(first.recorder), ...untimed(second.recorder)]).toEqual(untimed(whole.recorder));
    }
  });

  it("refuses to go on with other data", async () => {
    const { state } = await train(options({ steps: 3 }));
    const changed = options({ state, batches: numberBatches(numberPairs(60, { shift: 1 })) });
    await expect(train(changed)).rejects.toThrow(/cursor: the data or the batch settings have changed/);
  });

  it("stops at a loss that is not finite, names the step, the lines and the parameter, and changes nothing", async () => {
    const run = options({ saveEvery: 1 });
    const { accumulate } = run.learner;
    run.learner.accumulate = async (feeds, at) => {
      const result = await accumulate.call(run.learner, feeds, at);
      if (at.step < 4) return result;
      run.learner.gradients.bias.data[0] = NaN;
      run.learner.gradients.weight.data[0] = 1e30;
      return { ...result, loss: Infinity };
    };
    const error = await train(run).catch((error: unknown) => error);
    const batches = numberBatches();
    for (let i = 0; i < 3; i++) batches.take();
    const lines = `numbers.txt, lines ${[...batches.take().lines].join(", ")}`;
    expect(error).toBeInstanceOf(DivergenceError);
    expect(error).toMatchObject({ step: 4, loss: Infinity, parameter: "bias", gradient: NaN, lines });
    expect(String(error)).toContain(lines);
    expect(steps(run.recorder.saved)).toEqual([1, 2, 3]);
    expect(run.learner.updates).toHaveLength(3);
  });

  it("stops at a gradient norm that is not finite though the loss is, and names the largest", async () => {
    const run = options();
    run.learner.gradientNorm = () => Infinity;
    await expect(train(run)).rejects.toMatchObject({ step: 1, gradientNorm: Infinity, parameter: "weight" });
  });

  it.each([
    [{ steps: 0 }, "steps: must be a whole number above 0 (got 0)."],
    [{ accumulate: 1.5 }, "accumulate: must be a whole number above 0 (got 1.5)."],
    [{ clip: 0 }, "clip: must be above 0 (got 0)."],
    [{ minutes: NaN }, "minutes: must be above 0 (got NaN)."],
  ])("refuses %j", async (more, message) => {
    await expect(train(options(more))).rejects.toThrow(
      new ConfigError(message.split(": ")[0]!, message.split(": ")[1]!),
    );
  });

  it("refuses to judge by a figure that validation does not give", async () => {
    const validation = {
      validate: async () => ({ loss: 1, perplexity: 3 }),
      every: 1,
      metric: "bleu",
      better: "larger",
    } as const;
    await expect(train(options({ validation }))).rejects.toThrow(
      'validation gives no "bleu". It gives loss, perplexity: choose one of these.',
    );
  });
});

async function plainGradient(
  learner: Quadratic,
  feeds: Parameters<Quadratic["accumulate"]>[0],
  { microBatch }: { microBatch: number },
) {
  const tokenWeight = feeds.tokenWeight!.data[0] as number;
  const { data } = learner.gradients.weight;
  if (microBatch === 0) data.fill(0);
  for (const token of feeds.sourceIds!.data as Int32Array)
    for (let i = 0; i < data.length; i++) data[i]! -= tokenWeight * token;
  return { loss: 0, figures: {} };
}
