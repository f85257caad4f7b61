// heddle inspect: what a run's model is made of and what it costs, or what happens inside it at one step.
import { Command, Option } from "commander";
import { ConfigError, elementCount } from "../../base/index.ts";
import { cacheBytesPerToken } from "../../models/index.ts";
import { namedParameters } from "../../nn/index.ts";
import { sizeOf } from "../../tensor/index.ts";
import { openRun } from "../../tasks/index.node.ts";
import { table } from "../table.ts";
import { wholeNumber } from "./decoding-options.ts";
import { inspectStep, type InspectStepFlags } from "./inspect-step.ts";

interface InspectFlags extends InspectStepFlags {
  depth: string;
}

export function inspectCommand(): Command {
  return new Command("inspect")
    .requiredOption("--model <folder>", "the folder of a run")
    .option("--checkpoint <path>", "another checkpoint's folder or .safetensors file than the run's own choice")
    .addOption(new Option("--depth <n>", "how far down to list the parts; 99 lists every parameter").default("3"))
    .option("--json", "print everything as JSON")
    .option("--source <text>", "translate this, and show what a decoder layer asks the encoder at one step")
    .option("--target <text>", "with --source: show what it asks when it is given this target, beside its own output")
    .option("--step <n>", "with --source: which step, from 0, where START is fed; 0 if not said", wholeNumber)
    .option("--layer <n>", "with --source: which decoder layer, from 0; the last if not said", wholeNumber)
    .option("--head <n>", "with --source: show the weights of this head alone, from 0", wholeNumber)
    .addHelpText(
      "after",
      '\nExample: heddle inspect --model runs/en-de\n         heddle inspect --model runs/en-de --source "A dog runs." --target "Ein Hund rennt." --step 2 --layer 0',
    )
    .action(async (flags: InspectFlags) => {
      const { model: directory, checkpoint, depth, json, source } = flags;
      if (source !== undefined) return inspectStep({ ...flags, source });
      for (const flag of ["target", "step", "layer", "head"] as const)
        if (flags[flag] !== undefined) throw new ConfigError(`--${flag}`, "needs --source to look at.");
      const {
        task,
        run: { model },
      } = await openRun(directory, checkpoint === undefined ? {} : { checkpoint });
      const parameters = [...namedParameters(model)].map(([name, { shape, trainable }]) => ({
        name,
        shape,
        trainable,
        count: elementCount(shape),
      }));
      const total = parameters.reduce((sum, { count }) => sum + count, 0);
      const outputProducts = sizeOf(model.outputLayer().table.shape) as number;
      // Each weight of a product is used once a token, in a multiplication and an addition; lookups cost nothing.
      const tables = parameters
        .filter(({ name }) => /embedding|segments|^(source|target|output)\b/.test(name))
        .reduce((sum, { count }) => sum + count, 0);
      const cost = {
        parameters: total,
        weightBytes: 4 * total,
        trainingBytes: 16 * total,
        operationsPerToken: 2 * (total - tables + outputProducts),
        // What writes all places at once keeps nothing from token to token.
        cacheBytesPerToken: "step" in model ? cacheBytesPerToken(model) : 0,
      };
      if (json === true) {
        const { options } = "options" in model ? model : model.encoder;
        process.stdout.write(`${JSON.stringify({ task, ...cost, options, tensors: parameters })}\n`);
        return;
      }
      const groups = new Map<string, { count: number; shapes: string[] }>();
      for (const { name, shape, count } of parameters) {
        const part = name.split(".").slice(0, Number(depth)).join(".");
        const group = groups.get(part) ?? { count: 0, shapes: [] };
        groups.set(part, { count: group.count + count, shapes: [...group.shapes, `[${shape.join(", ")}]`] });
      }
      const rows = [...groups].map(([part, { count, shapes }]) => [
        part,
        shapes.length === 1 ? shapes[0]! : `${shapes.length} tensors`,
        count.toLocaleString("en"),
        `${((100 * count) / total).toFixed(1)} %`,
      ]);
      process.stdout.write(table(["part", "shape", "parameters", "share"], rows));
      const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
      process.stdout.write(
        `\n${total.toLocaleString("en")} parameters: ${mebibytes(cost.weightBytes)} of weights, ${mebibytes(cost.trainingBytes)} with gradients and Adam's moments\n` +
          `about ${(cost.operationsPerToken / 1e6).toFixed(1)} million operations a token${task === "translation" ? " (source and target each)" : ""}, ` +
          `${(cost.cacheBytesPerToken / 1024).toFixed(1)} KiB of keys and values a target token\n`,
      );
    });
}
