// The training of a configuration: what every task may say of it.
import { z } from "zod";

const count = (help: string, by = 1): z.ZodDefault<z.ZodInt> => z.int().min(1).default(by).describe(help);

export const labelSmoothing = z
  .number()
  .min(0)
  .lt(1)
  .default(0)
  .describe("Share of the target's probability spread over the vocabulary.");

/** The keys of training; a task adds those of its batches. */
export const trainingKeys = {
  steps: count("Most updates.", 20_000),
  minutes: z.number().positive().optional().describe("Stop after this many minutes of training, if that comes first."),
  accumulate: count("Batches whose gradients one update sums."),
  optimizer: z.enum(["adam", "adamw"]).default("adam").describe("adamw takes weight decay apart from the gradient."),
  learningRate: z.number().positive().default(0.001).describe("The highest learning rate, reached when warm-up ends."),
  warmup: z.int().min(0).default(4000).describe("Steps over which the learning rate rises from zero."),
  schedule: z
    .enum(["inverse-square-root", "cosine", "linear", "constant"])
    .default("inverse-square-root")
    .describe("The learning rate after warm-up."),
  betas: z
    .tuple([z.number().min(0).lt(1), z.number().min(0).lt(1)])
    .default([0.9, 0.98])
    .describe("Decay of the first and second moment."),
  epsilon: z.number().positive().default(1e-9).describe("Added to the root of the second moment."),
  weightDecay: z.number().min(0).default(0).describe("Weight decay of matrices; norms and biases have none (adamw)."),
  clip: z.number().positive().optional().describe("Largest global norm of a gradient; a longer one is scaled down."),
  seed: z.int().min(0).default(1).describe("Of parameters, order of batches and dropout: same seed, same run."),
  validateEvery: count("Steps between validations, each with a checkpoint.", 1000),
  patience: z.int().min(1).optional().describe("Stop after this many validations without a better loss."),
  averageCheckpoints: z
    .int()
    .min(0)
    .default(0)
    .describe("Average this many of the last checkpoints at the end; 0 for none."),
  keepCheckpoints: count("Checkpoints to keep besides the best one.", 3),
  threads: z.int().min(1).optional().describe("Processor threads; the machine's cores where not given."),
  logEvery: count("Steps between two lines of metrics.", 100),
};

/** Refuses options that have no effect with the others. */
export function refuseNeedlessTraining(
  { optimizer, weightDecay, averageCheckpoints, keepCheckpoints }: z.output<z.ZodObject<typeof trainingKeys>>,
  context: z.RefinementCtx,
): void {
  const reject = (key: string, message: string): void => context.addIssue({ code: "custom", path: [key], message });
  if (optimizer === "adam" && weightDecay > 0) reject("weightDecay", "has no effect with optimizer adam. Use adamw");
  if (averageCheckpoints > keepCheckpoints)
    reject(
      "keepCheckpoints",
      `must not be below averageCheckpoints (got ${keepCheckpoints} and ${averageCheckpoints})`,
    );
}
