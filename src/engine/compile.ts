// Program → something that runs: lowered, encoded, handed to the runtime, with every feed checked before a run.
import { ConfigError, elementCount, ShapeError, type HostTensor } from "../base/index.ts";
import { encodeOnnx } from "../formats/index.ts";
import {
  evaluateDim,
  formatShape,
  isName,
  lower,
  namesOf,
  programNodes,
  SymbolicDim,
  usedInputs,
  type LowerOptions,
  type Program,
  type Tensor,
} from "../tensor/index.ts";
import { createSession } from "#session";
import { describeFeeds, EngineError } from "./errors.ts";
import type { Session, SessionOptions } from "./session.ts";

export interface CompileOptions extends SessionOptions, LowerOptions {}

export type Feeds = Readonly<Record<string, HostTensor>>;

/**
 * Compiles a program for the runtime.
 * @example
 * const x = input("x", "float32", [dim("n")]);
 * const run = await compile({ name: "double", inputs: { x }, outputs: { y: mul(x, 2) } });
 * const { y } = await run.run({ x: hostTensor("float32", [2], [1, 2]) });
 */
export async function compile(program: Program, options: CompileOptions = {}): Promise<Executable> {
  const bytes = encodeOnnx(lower(program, options));
  const isDouble = programNodes(program).some(({ outputs }) => outputs.some(({ dtype }) => dtype === "float64"));
  try {
    const session = await createSession(bytes, { optimization: isDouble ? "basic" : "all", ...options });
    return new Executable(program, session, options.frozen);
  } catch (error) {
    // An option that cannot be honoured speaks for itself.
    if (error instanceof ConfigError) throw error;
    throw new EngineError(program.name, "the runtime does not take the program", error);
  }
}

/** A compiled program. It owns native memory: call `dispose`, or bind it with `await using`. */
export class Executable {
  readonly program: Program;
  readonly #session: Session;
  readonly #inputs: ReadonlyMap<string, Tensor>;
  /** Sizes of inputs that follow from named ones, each with an input that has it. */
  readonly #derived = new Map<string, { readonly dim: SymbolicDim; readonly input: string }>();

  constructor(program: Program, session: Session, frozen: ReadonlyMap<string, HostTensor> = new Map()) {
    this.program = program;
    this.#session = session;
    this.#inputs = new Map([...usedInputs(program)].filter(([name]) => !frozen.has(name)));
    const sizes = [...this.#inputs].flatMap(([input, { shape }]) => shape.map((dim) => ({ dim, input })));
    const names = new Set(sizes.flatMap(({ dim }) => (isName(dim) ? [String(dim)] : [])));
    for (const { dim, input } of sizes) {
      // Where a name stands on no input alone, as in a lone [time + 1], any size will do.
      if (dim instanceof SymbolicDim && !isName(dim) && namesOf(dim).every((name) => names.has(name)))
        this.#derived.set(dim.key, { dim, input });
    }
  }

  /** Names of the inputs that a run wants. */
  get inputNames(): string[] {
    return [...this.#inputs.keys()];
  }

  /**
   * Runs the program. Feeds that the program does not use are ignored only if it declares them; a name it does not know is
   * an error. An output named in `into` is written there; without `outputs` all are computed and returned.
   * What the runtime refuses, such as an id beyond its table, is an EngineError with the sizes of the run.
   */
  async run(
    feeds: Feeds,
    { into = {}, outputs = Object.keys(this.program.outputs) }: { into?: Feeds; outputs?: readonly string[] } = {},
  ): Promise<Record<string, HostTensor>> {
    const given = new Map<string, HostTensor>();
    const sizes = new Map<string, number>();
    for (const [name, host] of Object.entries(feeds)) {
      const wanted = this.#inputs.get(name);
      if (wanted !== undefined) {
        this.#check(name, wanted, host, sizes);
        given.set(name, host);
      } else if (!(name in this.program.inputs)) {
        throw new ShapeError(
          `${this.program.name}: there is no input "${name}"; inputs are ${this.inputNames.slice(0, 8).join(", ")} …`,
        );
      }
    }
    if (given.size !== this.#inputs.size) {
      const missing = this.inputNames.filter((name) => !given.has(name));
      throw new ShapeError(`${this.program.name}: no value is given for ${missing.slice(0, 5).join(", ")}`);
    }
    this.#checkDerived(given, sizes);
    const unknown = outputs.find((name) => !(name in this.program.outputs));
    if (unknown !== undefined) {
      const names = Object.keys(this.program.outputs).slice(0, 8).join(", ");
      throw new ShapeError(`${this.program.name}: there is no output "${unknown}"; outputs are ${names} …`);
    }
    const fetches = new Map(outputs.map((name) => [name, into[name]]));
    try {
      return Object.fromEntries(await this.#session.run(given, fetches));
    } catch (error) {
      const isVarying = (name: string): boolean =>
        this.#inputs.get(name)!.shape.some((size) => size instanceof SymbolicDim);
      throw new EngineError(this.program.name, `a run with ${describeFeeds(given, isVarying)} failed`, error);
    }
  }

  /** Sizes made of named ones, such as `past + 1`, against what the names turned out to be. */
  #checkDerived(given: ReadonlyMap<string, HostTensor>, sizes: ReadonlyMap<string, number>): void {
    for (const [key, got] of sizes) {
      const size = this.#derived.get(key);
      if (size === undefined) continue;
      const expected = evaluateDim(size.dim, sizes);
      if (expected !== got) {
        throw new ShapeError(
          `${this.program.name}: input "${size.input}" is [${given.get(size.input)!.dims.join(", ")}], where ${key} is ${expected}, not ${got}`,
        );
      }
    }
  }

  /** Rank, fixed sizes and one size a name: the runtime itself accepts two sizes under one name. */
  #check(name: string, wanted: Tensor, host: HostTensor, sizes: Map<string, number>): void {
    const complain = (problem: string): never => {
      throw new ShapeError(
        `${this.program.name}: input "${name}" is ${wanted.dtype} ${formatShape(wanted.shape)}, got ${host.dtype} [${host.dims.join(", ")}]: ${problem}`,
      );
    };
    if (host.dtype !== wanted.dtype) complain("dtypes differ");
    if (host.dims.length !== wanted.rank) complain("the number of axes differs");
    for (const [axis, size] of wanted.shape.entries()) {
      const got = host.dims[axis]!;
      if (size instanceof SymbolicDim && !sizes.has(size.key)) sizes.set(size.key, got);
      const expected = size instanceof SymbolicDim ? sizes.get(size.key)! : evaluateDim(size, sizes);
      if (expected !== got) complain(`${String(size)} is ${expected} elsewhere and ${got} here`);
    }
    if (host.data.length !== elementCount(host.dims)) complain(`the array holds ${host.data.length} elements`);
  }

  endProfiling(): void {
    this.#session.endProfiling();
  }

  async dispose(): Promise<void> {
    await this.#session.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }
}
