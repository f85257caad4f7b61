import { add, exp, mul, neg, softplus, split, type Tensor } from "../../tensor/index.ts";
import { silu } from "../activations.ts";
import type { AttentionScope } from "../attention/scope.ts";
import { ones, xavierUniform, type Initializer } from "../initializers.ts";
import { Linear } from "../linear.ts";
import type { Mixed, MixerState, RecurrentMixer } from "../mixer.ts";
import { Module, Parameter } from "../module.ts";
import { CausalConvolution } from "./causal-convolution.ts";
import { wantCausal, wantCount, wantNoPositions, wantWholeSequence, withoutPadding } from "./limits.ts";
import { chunkedScan, parallelScan, scanToState, selectiveStep, type SelectiveScan } from "./selective-scan.ts";

/** A selective state space as a configuration writes it. */
export interface SelectiveStateSpaceSettings {
  /** Channels inside relative to dModel. */
  readonly expand?: number;
  /** Numbers that each channel remembers; N in the paper. */
  readonly state?: number;
  /** Positions that the convolution before the recurrence sees, the present one among them. */
  readonly convolution?: number;
  /** Width through which Δ is computed; dModel / 16 rounded up if not said. */
  readonly rank?: number;
  /** Positions in each turn of the loop over time. */
  readonly chunk?: number;
}

export interface SelectiveStateSpaceOptions extends SelectiveStateSpaceSettings {
  dModel: number;
  /** Multiplies the first weights of the output; below 1 in very deep models (DeepNorm). */
  gain?: number;
}

/** A = −1, −2, … −N in every channel, kept as its logarithm: S4D-Real of the paper's section 3.6. */
const logOfCount: Initializer = (data, [, channels = 1]) => {
  for (let i = 0; i < data.length; i++) data[i] = Math.log(1 + Math.floor(i / channels));
};

/** b with softplus(b) log-uniform in 0.001 … 0.1: a channel starts out remembering between ten and a thousand positions. */
const timeSteps: Initializer = (data, _, random) => {
  for (let i = 0; i < data.length; i++) {
    const step = 0.001 * 100 ** random.uniform();
    data[i] = Math.log(Math.expm1(step));
  }
};

/** Uniform in ±1/√from, so that Δ begins near its bias. */
const byRank: Initializer = (data, [from = 1], random) => {
  for (let i = 0; i < data.length; i++) data[i] = (2 * random.uniform() - 1) / Math.sqrt(from);
};

/**
 * Mamba's layer: two projections of x, of which one passes a short causal convolution, SiLU and a recurrence with a state of
 * N numbers a channel, whose pace Δ, entrance B and exit C depend on the token; the other is its gate.
 * y = (scan(SiLU(conv(x W_in))) + D ⊙ SiLU(conv(x W_in))) ⊙ SiLU(x W_gate), then W_out.
 * Gu and Dao 2023, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", algorithm 2 and sections 3.4 to 3.6.
 *
 * Time and memory are linear in the length. Inside, matrices of the state lie as [states, channels], the paper's transposed.
 * @example
 * const mixer = new SelectiveStateSpace({ dModel: 256 });
 * const { output } = mixer.forward(x, new AttentionScope({ queryTime: dim("time"), isCausal: true }));
 */
export class SelectiveStateSpace extends Module implements RecurrentMixer {
  readonly isRelative = true;
  /** dModel → what is scanned and its gate, side by side. */
  readonly input: Linear;
  readonly convolution: CausalConvolution;
  /** channels → what Δ is made of, B and C, side by side. */
  readonly selection: Linear;
  readonly timeStep: Linear;
  /** [channels] */
  readonly timeStepBias: Parameter;
  /** ln(−A) [states, channels] */
  readonly logDecay: Parameter;
  /** D [channels]: what of x goes past the state. */
  readonly skip: Parameter;
  readonly output: Linear;
  readonly channels: number;
  readonly states: number;
  readonly rank: number;
  readonly chunk: number;
  readonly state: { readonly convolution: readonly number[]; readonly state: readonly number[] };

  constructor({
    dModel,
    expand = 2,
    state = 16,
    convolution = 4,
    rank = Math.ceil(dModel / 16),
    gain = 1,
    chunk = 4,
  }: SelectiveStateSpaceOptions) {
    super();
    for (const [option, value] of Object.entries({ expand, state, convolution, rank, chunk }))
      wantCount("state space", option, value);
    const channels = expand * dModel;
    this.input = new Linear({ from: dModel, to: 2 * channels, bias: false });
    this.convolution = new CausalConvolution({ channels, width: convolution });
    this.selection = new Linear({ from: channels, to: rank + 2 * state, bias: false });
    this.timeStep = new Linear({ from: rank, to: channels, bias: false, initializer: byRank });
    this.timeStepBias = new Parameter({ shape: [channels], initializer: timeSteps });
    this.logDecay = new Parameter({ shape: [state, channels], initializer: logOfCount });
    this.skip = new Parameter({ shape: [channels], initializer: ones });
    this.output = new Linear({ from: channels, to: dModel, bias: false, initializer: xavierUniform({ gain }) });
    this.channels = channels;
    this.states = state;
    this.rank = rank;
    this.chunk = chunk;
    this.state = { convolution: [convolution - 1, channels], state: [state, channels] };
  }

  /** x [batch, time, dModel] → the same shape, in time linear in the length; there are no weights to show. */
  forward(x: Tensor, scope: AttentionScope): Mixed {
    return { output: this.chunked(x, scope) };
  }

  /** Every position's share in every later one at once; memory grows with time² · states · channels, so for short sequences. */
  parallel(x: Tensor, scope: AttentionScope): Tensor {
    return this.#mix(x, scope, parallelScan);
  }

  /** A loop inside the program, a few positions each turn. */
  chunked(x: Tensor, scope: AttentionScope): Tensor {
    return this.#mix(x, scope, (parts) => chunkedScan(parts, this.chunk));
  }

  /** x [rows, dModel] → output [rows, dModel]; the state holds the convolution's last inputs and h. Places mean nothing here. */
  step(x: Tensor, state: MixerState): { output: Tensor; state: MixerState } {
    const [entering, gate] = this.#enter(x);
    const { output: filtered, past } = this.convolution.step(entering, state.convolution!);
    const parts = this.#select(silu(filtered));
    const { output, state: next } = selectiveStep(parts, state.state!);
    return { output: this.#finish(output, parts.x, gate), state: { convolution: past, state: next } };
  }

  read(x: Tensor, scope: AttentionScope): { output: Tensor; state: MixerState } {
    let state: Tensor | undefined;
    const output = this.#mix(x, scope, (parts) => {
      const scanned = scanToState(parts, this.chunk);
      state = scanned.state;
      return scanned.output;
    });
    const [entering] = this.#enter(x);
    return {
      output,
      state: { convolution: this.convolution.past(withoutPadding(entering, scope.keys)), state: state! },
    };
  }

  #mix(x: Tensor, scope: AttentionScope, scanned: (parts: SelectiveScan) => Tensor): Tensor {
    wantCausal("state space", scope);
    wantWholeSequence("state space", scope);
    wantNoPositions("state space", scope, "a state has no places");
    const [entering, gate] = this.#enter(x); // [batch, time, channels] each
    const filtered = silu(this.convolution.forward(withoutPadding(entering, scope.keys)));
    const parts = this.#select(filtered);
    // At padding time stands still.
    const output = scanned({ ...parts, timeStep: withoutPadding(parts.timeStep, scope.keys) });
    return this.#finish(output, filtered, gate);
  }

  #enter(x: Tensor): [Tensor, Tensor] {
    return split(this.input.forward(x), { axis: -1, parts: 2 }) as [Tensor, Tensor];
  }

  /** x [.., channels] → itself and what depends on it. */
  #select(x: Tensor): SelectiveScan {
    const { rank, states } = this;
    const [pace, enter, read] = split(this.selection.forward(x), { axis: -1, parts: [rank, states, states] }) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    const timeStep = softplus(add(this.timeStep.forward(pace), this.timeStepBias.value));
    return { x, timeStep, decay: neg(exp(this.logDecay.value)), enter, read };
  }

  #finish(scanned: Tensor, x: Tensor, gate: Tensor): Tensor {
    return this.output.forward(mul(add(scanned, mul(x, this.skip.value)), silu(gate)));
  }
}
