// heddle inspect: what a run's model is made of, and what it costs.
import { Command, Option } from "commander";
import { elementCount } from "../../base/index.ts";
import { cacheBytesPerToken } from "../../models/index.ts";
import { namedParameters } from "../../nn/index.ts";
import { sizeOf } from "../../tensor/index.ts";
import { openRun } from "../../tasks/index.node.ts";
import { table } from "../table.ts";

interface InspectFlags {
  model: string;
  checkpoint?: string;
  depth: string;
  json?: boolean;
}

export function inspectCommand(): Command {
  return new Command("inspect")
    .requiredOption("--model <folder>", "the folder of a run")
    .option("--checkpoint <path>", "another checkpoint's folder or .safetensors file than the run's own choice")
    .addOption(new Option("--depth <n>", "how far down to list the parts; 99 lists every parameter").default("3"))
    .option("--json", "print everything as JSON")
    .action(async ({ model: directory, checkpoint, depth, json }: InspectFlags) => {
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
