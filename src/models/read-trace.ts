// The beginning of a text read at once: one pass over whole sequences leaves what as many steps would have left.
import { ConfigError } from "../base/index.ts";
import {
  AttentionScope,
  canRead,
  MultiHeadAttention,
  namedParameters,
  parameterInputs,
  type AttentionPositions,
  type Mixed,
  type Mixer,
} from "../nn/index.ts";
import { concat, dim, input, transpose, type Dim, type Program, type Tensor } from "../tensor/index.ts";
import type { Writer } from "./sequence-to-sequence.ts";
import type { StreamReach } from "./step-trace.ts";

/** A writer that can take in many tokens in one pass. */
export interface Reader extends Writer {
  /** Whether all of its mixers can. */
  readonly readsAtOnce: boolean;
  /** Reads `trace.ids` and leaves there what the step after them wants. */
  read(trace: ReadTrace): void;
}

/** A model's `read` finds its ids here and leaves what a `StepTrace` of the next token asks for. */
export class ReadTrace {
  readonly stream: StreamReach | undefined;
  readonly batch: Dim = dim("batch");
  readonly time: Dim = dim("time");
  /** int32 [batch, time], without padding: texts of one length. */
  readonly ids: Tensor = input("ids", "int32", [this.batch, this.time]);
  /** Keys and values, layer by layer: [time, batch, heads, dHead]. */
  readonly entries: Tensor[] = [];
  /** By the names that steps have for them: [batch, ..]. */
  readonly states: Record<string, Tensor> = {};

  /** `stream` as the steps have it; as many tokens may then be read at once as stay in sight. */
  constructor(stream?: StreamReach) {
    this.stream = stream;
  }

  /** Who may look at whom: everything that came before. */
  scope(positions: AttentionPositions | undefined): AttentionScope {
    return new AttentionScope({ queryTime: this.time, isCausal: true, positions });
  }
}

/** Whether a mixer's work on a beginning can be done in one pass. */
export function readsAtOnce(mixer: Mixer): boolean {
  return mixer instanceof MultiHeadAttention || canRead(mixer);
}

/** x [batch, time, dModel] → the same: what `mixer` gives for all places, and what it keeps for the steps that follow. */
export function readMix(
  trace: ReadTrace,
  mixer: Mixer,
  x: Tensor,
  { layer, scope }: { layer: number; scope: AttentionScope },
): Mixed {
  if (mixer instanceof MultiHeadAttention) {
    const { key, value } = mixer.keysAndValues(x); // [batch, keyValueHeads, time, dHead]
    // Steps without end turn keys where they stand in the cache, each time anew.
    const kept = trace.stream === undefined ? scope.turnKey(key) : key;
    trace.entries.push(...[kept, value].map((entries) => transpose(entries, [2, 0, 1, 3])));
    return mixer.attend(mixer.splitHeads(mixer.query.forward(x), mixer.heads), { key, value }, scope);
  }
  if (canRead(mixer)) {
    const { output, state } = mixer.read(x, scope);
    for (const [name, value] of Object.entries(state)) trace.states[`${layer}.${name}`] = value;
    return { output };
  }
  throw new ConfigError(
    `layer ${layer}`,
    "its mixer reads token by token only. Give it a `read` (see RecurrentMixer).",
  );
}

/**
 * Texts of one length taken in at once. Inputs: `ids` [batch, time]. Outputs: `entries` [2 · layers · time, batch, heads, dHead],
 * each layer's keys and then its values, and `state.…` [batch, ..], both where there are some.
 */
export function readProgram(model: Reader, stream?: StreamReach): Program {
  const trace = new ReadTrace(stream);
  model.read(trace);
  const outputs: Record<string, Tensor> = {};
  if (trace.entries.length > 0) outputs.entries = concat(trace.entries, 0);
  for (const [name, state] of Object.entries(trace.states)) outputs[`state.${name}`] = state;
  return { name: "read", inputs: { ...parameterInputs(namedParameters(model)), ids: trace.ids }, outputs };
}
