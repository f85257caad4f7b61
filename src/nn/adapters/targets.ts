// Which linear layers of a model a name or a pattern means.
import { ConfigError, nearest } from "../../base/index.ts";
import { Linear } from "../linear.ts";
import { namedModules, type Module } from "../module.ts";

/** A part of an adapter: its path has this segment. */
export const adapterSegment = "adapter";

/** Whether a parameter belongs to an adapter and not to the model that it adapts. */
export function isAdapterParameter(name: string): boolean {
  return name.split(".").includes(adapterSegment);
}

/** Every linear layer of a model by its path, those inside adapters left out. */
export function namedLinears(model: Module): Map<string, Linear> {
  const linears = [...namedModules(model)].filter(
    (entry): entry is [string, Linear] => entry[1] instanceof Linear && !isAdapterParameter(entry[0]),
  );
  return new Map(linears);
}

/**
 * The layers whose path ends in a target, cut at dots; `*` stands for anything within a segment. So `query` is every query
 * projection, and `decoder.layers.*.selfAttention.query` those of the decoder's self-attention.
 * Throws ConfigError for a target that no path ends in, with the nearest that are there.
 */
export function targetedLinears(
  model: Module,
  targets: readonly string[],
  place = "adapter.targets",
): Map<string, Linear> {
  const linears = namedLinears(model);
  if (targets.length === 0) throw new ConfigError(place, `is empty. Name layers: ${lastSegments(linears).join(", ")}.`);
  const chosen = new Set<string>();
  for (const target of targets) {
    const pattern = new RegExp(`(^|\\.)${target.split("*").map(escaped).join("[^.]*")}$`);
    const matched = [...linears.keys()].filter((path) => pattern.test(path));
    if (matched.length === 0) throw new ConfigError(place, missing(target, linears));
    for (const path of matched) chosen.add(path);
  }
  return new Map([...linears].filter(([path]) => chosen.has(path)));
}

const escaped = (text: string): string => text.replace(/[\\^$.+?()[\]{}|/]/g, "\\$&");

function missing(target: string, linears: ReadonlyMap<string, Linear>): string {
  const depth = target.split(".").length;
  const near = nearest(target, [...new Set([...linears.keys()].map((path) => ending(path, depth)))]);
  const hint = near === undefined ? "" : ` Did you mean ${near}?`;
  const names = lastSegments(linears).join(", ");
  return `no linear layer's path ends in ${JSON.stringify(target)}.${hint} The model's linear layers are called ${names}; a whole path is ${[...linears.keys()][0] ?? "not there"}.`;
}

/** A path's last segments, numbers as `*`. */
function ending(path: string, depth: number): string {
  return path
    .split(".")
    .slice(-depth)
    .map((segment) => (/^\d+$/.test(segment) ? "*" : segment))
    .join(".");
}

const lastSegments = (linears: ReadonlyMap<string, Linear>): string[] => [
  ...new Set([...linears.keys()].map((path) => ending(path, 1))),
];
