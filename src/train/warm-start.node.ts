// Weights of another run as the first values of this one: no moments, no step, no position in the data.
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { FormatError, silent, type Listener } from "../base/index.ts";
import { openSafetensors } from "../formats/index.node.ts";
import { misfit, readInto, type NamedTensors } from "./checkpoint.node.ts";

export interface WarmStartOptions {
  /**
   * What to do where names or shapes differ: refuse, or take what fits and leave the rest at its first values. Tensors of a
   * dtype other than float32 never fit.
   */
  mismatches?: "refuse" | "keep first values";
  /** Which weights the file need not have, such as those of adapters that are new; they keep their first values. */
  mayLack?: (name: string) => boolean;
  /** Which weights of the file the model need not have; they are passed over. */
  mayLeave?: (name: string) => boolean;
  /** Hears one warning with all that was left. */
  listener?: Listener;
}

/**
 * Copies weights from a safetensors file, or from the model.safetensors in a folder, and gives the names of those it copied.
 * Throws FormatError naming the first tensor that does not fit, both shapes, and how many more there are; nothing is copied then.
 *
 * @example
 * await warmStart(store.values, "runs/en-de/checkpoints/step-00012000", { mismatches: "keep first values" });
 */
export async function warmStart(
  model: NamedTensors,
  path: string,
  { mismatches = "refuse", mayLack = () => false, mayLeave = () => false, listener = silent }: WarmStartOptions = {},
): Promise<string[]> {
  const isFolder = (await stat(path)).isDirectory();
  await using file = await openSafetensors(isFolder ? join(path, "model.safetensors") : path);
  const wanted = Object.keys(model).filter((name) => file.header.tensors.has(name) || !mayLack(name));
  const offered = [...file.header.tensors.keys()].filter((name) => name in model || !mayLeave(name));
  const names = [...new Set([...wanted, ...offered])];
  const problems = new Map(names.map((name) => [name, misfit(file, name, model[name])]));
  const misfits = [...problems].filter(([, problem]) => problem !== undefined);
  const fitting = names.filter((name) => problems.get(name) === undefined);
  const [first] = misfits;
  if (first !== undefined) {
    const [name, problem] = first;
    const place = `${file.path}, tensor "${name}"`;
    const others = misfits.length === 1 ? "" : ` (and ${misfits.length - 1} more that do not fit)`;
    if (mismatches === "refuse" || fitting.length === 0) throw new FormatError(place, `${problem}${others}.`);
    const list = misfits.map(([name, problem]) => `${name} ${problem}`).join("; ");
    listener({
      type: "log",
      level: "warning",
      message: `${file.path}: ${fitting.length} tensors taken, ${misfits.length} left: ${list}.`,
    });
  }
  await readInto(file, Object.fromEntries(fitting.map((name) => [name, model[name]!])));
  return fitting;
}
