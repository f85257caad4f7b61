// Encoder-decoders of many thin layers that learn to reverse symbols: what the labs about depth have in common.
import { teacherForcing, Transformer, type NormPlacement } from "heddle/models";
import { constant } from "heddle/train";
import type { LabContext, LabTable } from "./lab.ts";
import type { Drawing } from "./plots/drawing.ts";
import { linePlot } from "./plots/line-plot.ts";
import { reversal, targetsOf } from "./tasks.ts";
import { lastLoss, teach, type Taught } from "./training.ts";

export interface Arrangement {
  readonly name: string;
  readonly placement: NormPlacement;
  readonly hasWarmup: boolean;
}

export interface Depth {
  /** Of the encoder, and as many of the decoder. */
  readonly layers: number;
  readonly steps: number;
  /** The same for all in the end; a warm-up takes the first third of the updates to reach it. */
  readonly learningRate: number;
}

export interface ReversalRun {
  readonly name: string;
  readonly taught: Taught;
}

const [symbols, time] = [16, 8] as const;

/** Nats a symbol of one who guesses. */
export const reversalChance = Math.log(symbols);

export async function learnReversal(
  arrangements: readonly Arrangement[],
  { layers, steps, learningRate }: Depth,
  { seed, listener, signal }: LabContext,
): Promise<ReversalRun[]> {
  const { vocabularySize, batch } = reversal({ symbols, time, rows: 32, seed });
  const runs: ReversalRun[] = [];
  for (const { name, placement, hasWarmup } of arrangements) {
    const model = new Transformer({
      vocabularySize,
      dModel: 32,
      heads: 2,
      dFeedForward: 64,
      layers,
      dropout: 0,
      norm: placement,
      maxPositions: 16,
    });
    const taught = await teach({
      model,
      loss: teacherForcing(model),
      batch,
      labels: targetsOf,
      steps,
      learningRate: constant({ learningRate, warmup: hasWarmup ? Math.floor(steps / 3) : 1 }),
      seed,
      every: Math.max(1, Math.floor(steps / 30)),
      name,
      listener,
      signal,
    });
    runs.push({ name, taught });
  }
  return runs;
}

export function reversalTable(runs: readonly ReversalRun[], { layers, steps, learningRate }: Depth): LabTable {
  return {
    title: `Reversing ${time} symbols, ${layers} + ${layers} layers, Adam at ${learningRate}, ${steps} updates (guessing ${reversalChance.toFixed(2)})`,
    head: ["stack", "loss at the end (nats)", "diverged"],
    rows: runs.map(({ name, taught }) => [
      name,
      lastLoss(taught).toFixed(3),
      taught.divergedAt === undefined ? "no" : `at ${taught.divergedAt}`,
    ]),
  };
}

export function reversalPlot(runs: readonly ReversalRun[], { layers }: Depth): Drawing {
  return linePlot({
    title: `Reversal with ${layers} + ${layers} layers`,
    x: { label: "update" },
    y: { label: "loss (nats a token)" },
    lines: runs.map(({ name, taught }) => ({
      name,
      points: taught.curve,
      isBroken: taught.divergedAt !== undefined,
    })),
  });
}
