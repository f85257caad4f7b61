// Adapters as the PEFT library stores them: which tensor is which parameter, and what adapter_config.json says.
import { elementCount, FormatError, version, type HostTensor } from "../base/index.ts";
import {
  adapterParameters,
  isAdapterParameter,
  LoraAdapter,
  namedLinears,
  type AdapterOptions,
  type Module,
} from "../nn/index.ts";
import type { Weights } from "./conversion.ts";
import type { HubConfig } from "./family.ts";

/** An adapter by itself: how to put it on a model, and its values by our parameters' names. */
export interface Adapter {
  readonly options: AdapterOptions;
  readonly values: Weights;
}

const prefix = "base_model.model.";
/** PEFT's names of our two matrices; both are stored transposed, as its linear layers are [to, from]. */
const peftNames = { "adapter.down": "lora_A.weight", "adapter.up": "lora_B.weight" } as const;

/**
 * adapter_config.json: LoRA in PEFT's own words, and a section `heddle` from which we read back what we wrote. PEFT has no
 * Houlsby adapters, so theirs names no peft_type.
 */
export function adapterConfig({ options, values }: Adapter): HubConfig {
  const heddle = { version, adapter: options };
  if (options.kind === "houlsby") return { heddle };
  const { targets, rank, alpha = 2 * rank, dropout = 0 } = options;
  const end = ".adapter.down";
  const paths = [...values.keys()].filter((name) => name.endsWith(end)).map((name) => name.slice(0, -end.length));
  return {
    peft_type: "LORA",
    r: rank,
    lora_alpha: alpha,
    lora_dropout: dropout,
    // Ends of paths, as ours; a list of PEFT's knows no `*`.
    target_modules: targets.some((target) => target.includes("*")) ? paths : [...targets],
    bias: "none",
    fan_in_fan_out: false,
    inference_mode: true,
    heddle,
  };
}

/** The options of a parsed adapter_config.json. Throws FormatError for one that we cannot honour. */
export function adapterOptionsOf(config: HubConfig, place: string): AdapterOptions {
  const own = (config.heddle as { adapter?: AdapterOptions } | undefined)?.adapter;
  if (own?.kind === "houlsby" && isCount(own.bottleneck) && (own.targets === undefined || isNames(own.targets)))
    return own;
  if (config.peft_type !== "LORA")
    throw new FormatError(
      place,
      `peft_type LORA, or an adapter that Heddle wrote, was wanted, got ${JSON.stringify(config.peft_type)}`,
    );
  for (const [key, honoured] of [
    ["bias", "none"],
    ["use_dora", false],
    ["use_rslora", false],
    ["fan_in_fan_out", false],
  ] as const) {
    const value = config[key] ?? honoured;
    if (value !== honoured)
      throw new FormatError(place, `${key} ${JSON.stringify(value)} is not supported; ${JSON.stringify(honoured)} is`);
  }
  for (const key of ["rank_pattern", "alpha_pattern"]) {
    if (Object.keys(config[key] ?? {}).length > 0)
      throw new FormatError(place, `${key} gives layers a value of their own, which is not supported`);
  }
  const { r: rank, lora_alpha: alpha, lora_dropout: dropout = 0, target_modules: modules } = config;
  const targets = own?.kind === "lora" ? own.targets : modules;
  if (!isCount(rank) || typeof alpha !== "number" || typeof dropout !== "number" || !isNames(targets)) {
    throw new FormatError(
      place,
      "r, a whole number, lora_alpha, a number, and target_modules, a list of names, are wanted, " +
        `got ${JSON.stringify({ r: rank, lora_alpha: alpha, target_modules: modules })}`,
    );
  }
  return { kind: "lora", targets, rank, alpha, dropout };
}

const isCount = (value: unknown): value is number => Number.isInteger(value) && (value as number) > 0;
const isNames = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((name) => typeof name === "string");

/** Our values under the names and in the layout of the file. */
export function storedTensors(values: Weights): Map<string, HostTensor<"float32">> {
  return new Map(
    [...values].map(([name, tensor]) => {
      for (const [ours, peft] of Object.entries(peftNames))
        if (name.endsWith(`.${ours}`))
          return [`${prefix}${name.slice(0, -ours.length)}${peft}`, transposed(tensor)] as const;
      return [`${prefix}${name}`, tensor] as const;
    }),
  );
}

/** The other way. Throws FormatError for a tensor that is no adapter's. */
export function adapterValues(tensors: ReadonlyMap<string, HostTensor<"float32">>, place: string): Weights {
  return new Map(
    [...tensors].map(([stored, tensor]) => {
      const where = `${place}, tensor "${stored}"`;
      const name = stored.startsWith(prefix) ? stored.slice(prefix.length) : stored;
      for (const [ours, peft] of Object.entries(peftNames)) {
        if (!name.endsWith(`.${peft}`)) continue;
        if (tensor.dims.length !== 2) throw new FormatError(where, `must have 2 axes, got [${tensor.dims.join(", ")}]`);
        return [`${name.slice(0, -peft.length)}${ours}`, transposed(tensor)] as const;
      }
      if (!isAdapterParameter(name)) throw new FormatError(where, "belongs to no adapter that we know");
      return [name, tensor] as const;
    }),
  );
}

/**
 * An adapter's values for a model that has adapters of its kind: what swaps into a running decoder. Where the file's
 * alpha / rank is another than the model's, `up` is scaled so that the gain is the same.
 * Throws FormatError naming the first tensor that is missing, left over or of another shape, and both shapes.
 *
 * @example
 * addAdapter(model, adapter.options);
 * const values = new Map([...base, ...fitAdapter(model, adapter)]);
 */
export function fitAdapter(model: Module, { options, values }: Adapter, place = "adapter"): Weights {
  const wanted = adapterParameters(model);
  for (const [name, { dims }] of values) {
    const shape = wanted.get(name)?.shape;
    if (shape === undefined)
      throw new FormatError(
        `${place}, tensor "${name}" [${dims.join(", ")}]`,
        "the model has no adapter there. Give it the adapter's own options, or name the model that it was trained on.",
      );
    if (shape.length !== dims.length || shape.some((size, axis) => size !== dims[axis]))
      throw new FormatError(
        `${place}, tensor "${name}"`,
        `is [${dims.join(", ")}], but the model's adapter has [${shape.join(", ")}]`,
      );
  }
  const missing = [...wanted].find(([name]) => !values.has(name));
  if (missing !== undefined)
    throw new FormatError(
      place,
      `lacks ${missing[0]} [${missing[1].shape.join(", ")}], which the model's adapters have`,
    );
  if (options.kind !== "lora") return new Map(values);
  const scale = (options.alpha ?? 2 * options.rank) / options.rank;
  const fitted = new Map(values);
  for (const [path, { adapter }] of namedLinears(model)) {
    if (!(adapter instanceof LoraAdapter) || adapter.scale === scale) continue;
    const name = `${path}.adapter.up`;
    const { dtype, dims, data } = values.get(name)!;
    fitted.set(name, { dtype, dims, data: data.map((value) => (value * scale) / adapter.scale) });
  }
  return fitted;
}

/** [rows, columns] → [columns, rows] */
function transposed({ dims, data }: HostTensor<"float32">): HostTensor<"float32"> {
  const [rows, columns] = dims as readonly [number, number];
  const result = new Float32Array(elementCount(dims));
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) result[column * rows + row] = data[row * columns + column]!;
  return { dtype: "float32", dims: [columns, rows], data: result };
}
