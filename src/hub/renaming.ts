// Names of parameters from ours to theirs, by a table of modules.
import { ConfigError } from "../base/index.ts";
import type { HubWeight } from "./family.ts";

/** Their names of the last part of a path. */
const kinds: Readonly<Record<string, string>> = {
  table: "weight",
  weight: "weight",
  bias: "bias",
  scale: "weight",
  shift: "bias",
};

/** One module there: its path, and how its weights are stored where that is not the common way. */
export type HubModule = string | ({ readonly name: string } & Omit<HubWeight, "name">);

/**
 * Finds a parameter by the path of its module; each `*`, in both columns, is the same one part of the path. Linear weights are
 * stored [to, from] where the table does not say otherwise.
 */
export function renaming(table: Readonly<Record<string, HubModule>>): (ours: string) => HubWeight {
  const rows = Object.entries(table).map(([path, module]) => {
    const pattern = path.replaceAll(".", "\\.").replaceAll("*", "([^.]+)");
    return { pattern: new RegExp(`^${pattern}$`), module: typeof module === "string" ? { name: module } : module };
  });
  return (ours) => {
    const dot = ours.lastIndexOf(".");
    const kind = kinds[ours.slice(dot + 1)];
    for (const { pattern, module } of rows) {
      const found = pattern.exec(ours.slice(0, dot));
      if (found === null || kind === undefined) continue;
      let star = 1;
      const name = `${module.name.replaceAll("*", () => found[star++]!)}.${kind}`;
      return { ...(ours.endsWith(".weight") && { transpose: true }), ...module, name };
    }
    throw new ConfigError("config.json", `no weight of this family is known for ${ours}`);
  };
}
