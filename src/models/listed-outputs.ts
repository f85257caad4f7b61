// Steps that score some tokens of the vocabulary only: the rows of the output layer that a batch may need, gathered once, and a
// mask that leaves each sentence its own list, where lists are not shared.
import { ConfigError, type HostTensor } from "../base/index.ts";
import type { Executable } from "../engine/index.ts";
import { namedParameters, parameterInputs } from "../nn/index.ts";
import { add, affine, dim, gather, input, reshape, type Program, type Tensor } from "../tensor/index.ts";
import type { Writer } from "./sequence-to-sequence.ts";
import type { StepTrace } from "./step-trace.ts";

/** `listedIds` [listed] → those rows of the output layer: `listedTable` [listed, width], `listedBias` [listed]. */
export function listedRowsProgram(model: Writer): Program {
  const listedIds = input("listedIds", "int32", [dim("listed")]);
  const { table, bias } = model.outputLayer();
  return {
    name: "listed rows",
    inputs: { ...parameterInputs(namedParameters(model)), listedIds },
    outputs: {
      listedTable: gather(table, listedIds),
      ...(bias !== undefined && { listedBias: gather(bias, listedIds) }),
    },
  };
}

/** Scores of the listed tokens, −∞ where a token is another sentence's: hidden [rows, width] → [rows, listed]. */
export function listedLogits(model: Writer, trace: StepTrace, hidden: Tensor): Tensor {
  const { table, bias } = model.outputLayer();
  const listed = dim("listed");
  const rows = trace.given("listedTable", "float32", [listed, table.shape[1]!]);
  const offsets = bias && trace.given("listedBias", "float32", [listed]);
  const mask = trace.given("listedMask", "float32", [trace.batch, listed]);
  const logits = affine(hidden, rows, offsets, { transposeB: true });
  if (trace.beams === 1) return add(logits, mask);
  // Rows lie beam by beam.
  const byBeam = reshape(logits, [trace.beams, trace.batch, listed]);
  return reshape(add(byBeam, mask), [trace.rows, listed]);
}

/** Which tokens may be written. */
export interface TokenLists {
  /** What a sentence may be written with, ascending. */
  of(sentence: number): Int32Array;
  /**
   * Whether a sentence may also be written with what is on the lists of those beside it: nearer to what all tokens would give, but no
   * longer the same whatever stands beside.
   */
  readonly areShared?: boolean;
}

/** The tokens that the sentences of a batch may be written with, together. */
export interface ListedTokens {
  /** Ascending. */
  readonly ids: Int32Array;
  /** What steps are fed. */
  readonly feeds: Readonly<Record<string, HostTensor>>;
}

/** Keeps the lists of a batch's sentences together while these leave and join. */
export class ListedOutputs {
  readonly #lists: TokenLists;
  readonly #vocabularySize: number;
  #sentences: Int32Array = new Int32Array(0);
  #listed: ListedTokens | undefined;

  constructor(lists: TokenLists, vocabularySize: number) {
    this.#lists = lists;
    this.#vocabularySize = vocabularySize;
  }

  /** The lists of these sentences; nothing is done where they are those of the last call. */
  async of(
    sentences: Int32Array,
    rows: () => Promise<Executable>,
    adapter: Readonly<Record<string, HostTensor>>,
  ): Promise<ListedTokens> {
    if (this.#listed !== undefined && this.#sentences === sentences) return this.#listed;
    const places = sentences.map((sentence) => this.#sentences.indexOf(sentence));
    // Rows that only those who have left asked for cost less than gathering anew.
    this.#listed =
      this.#listed !== undefined && !places.includes(-1)
        ? keepRows(this.#listed, places)
        : await this.#gather(sentences, rows, adapter);
    this.#sentences = sentences;
    return this.#listed;
  }

  async #gather(
    sentences: Int32Array,
    rows: () => Promise<Executable>,
    adapter: Readonly<Record<string, HostTensor>>,
  ): Promise<ListedTokens> {
    const { areShared = false } = this.#lists;
    const lists = Array.from(sentences, (sentence) => this.#lists.of(sentence));
    const placeOf = new Int32Array(this.#vocabularySize).fill(-1);
    for (const list of lists) for (let i = 0; i < list.length; i++) placeOf[list[i]!] = 0;
    let count = 0;
    for (let id = 0; id < placeOf.length; id++) if (placeOf[id] === 0) placeOf[id] = count++;
    const ids = new Int32Array(count);
    for (let id = 0; id < placeOf.length; id++) if (placeOf[id]! >= 0) ids[placeOf[id]!] = id;
    const mask = new Float32Array(sentences.length * count);
    if (!areShared) {
      mask.fill(-Infinity);
      for (const [row, list] of lists.entries())
        for (let i = 0; i < list.length; i++) mask[row * count + placeOf[list[i]!]!] = 0;
    }
    const executable = await rows();
    const { listedTable, listedBias } = await executable.run({
      ...adapter,
      listedIds: { dtype: "int32", dims: [count], data: ids },
    });
    const feeds = {
      listedTable: listedTable!,
      ...(listedBias !== undefined && { listedBias }),
      listedMask: { dtype: "float32", dims: [sentences.length, count], data: mask } as const,
    };
    return { ids, feeds };
  }
}

/** The same list for some of its sentences, by their places. */
function keepRows({ ids, feeds }: ListedTokens, places: Int32Array): ListedTokens {
  const before = feeds.listedMask!.data as Float32Array;
  const data = new Float32Array(places.length * ids.length);
  for (const [to, from] of places.entries())
    data.set(before.subarray(from * ids.length, (from + 1) * ids.length), to * ids.length);
  return { ids, feeds: { ...feeds, listedMask: { dtype: "float32", dims: [places.length, ids.length], data } } };
}

/** Refuses to take more candidates than there are listed tokens. */
export function checkListed(count: number, { ids }: ListedTokens): void {
  if (count > ids.length)
    throw new ConfigError(
      "shortlist",
      `${ids.length} tokens are listed, and the search looks at ${count}. Make it anew with more common tokens, or search without it.`,
    );
}
