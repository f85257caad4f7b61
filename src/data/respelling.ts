// Words spelt anew in every epoch: BPE-dropout over a corpus that is kept as text beside its ids.
import { randomKey, RandomStream } from "../base/index.ts";
import { RowsBuilder, type Encoder, type TokenRows } from "./token-rows.ts";

/** Provilkov et al. 2020, "BPE-Dropout: Simple and Effective Subword Regularization", section 3. */
export interface BpeDropout {
  /** Chance to leave out a merge. */
  readonly rate: number;
  /** With epoch, pair and side it decides every spelling. */
  readonly seed: number;
}

export interface RespellingSides {
  readonly source: Encoder;
  readonly target: Encoder;
  /** A spelling of more tokens than this, END counted, gives way to the plain one. */
  readonly maxSourceTokens: number;
  readonly maxTargetTokens: number;
}

/** Texts of pairs in their order, to be spelt again. */
export class Respelling {
  readonly #dropout: BpeDropout;
  readonly #sides: RespellingSides;
  readonly #sources: string[] = [];
  readonly #targets: string[] = [];

  constructor(dropout: BpeDropout, sides: RespellingSides) {
    this.#dropout = dropout;
    this.#sides = sides;
  }

  /** Differs where spellings may. */
  get name(): string {
    return `bpe-dropout ${this.#dropout.rate} ${this.#dropout.seed}`;
  }

  add({ source, target }: { source: string; target: string }): void {
    this.#sources.push(source);
    this.#targets.push(target);
  }

  /** The pairs as an epoch spells them; `plain` are their spellings without dropout. */
  inEpoch(epoch: number, plain: { source: TokenRows; target: TokenRows }): { source: TokenRows; target: TokenRows } {
    const { source, target, maxSourceTokens, maxTargetTokens } = this.#sides;
    return {
      source: this.#spell(this.#sources, plain.source, source, { longest: maxSourceTokens, place: [epoch, 0] }),
      target: this.#spell(this.#targets, plain.target, target, { longest: maxTargetTokens, place: [epoch, 1] }),
    };
  }

  #spell(
    texts: readonly string[],
    plain: TokenRows,
    encoder: Encoder,
    { longest, place }: { longest: number; place: readonly number[] },
  ): TokenRows {
    const { rate: dropout, seed } = this.#dropout;
    const rows = new RowsBuilder(encoder);
    for (const [i, text] of texts.entries()) {
      const ids = encoder.encode(text, { dropout, random: new RandomStream(randomKey(seed, ...place, i)) });
      rows.add(ids.length + 1 > longest ? plain.row(i).subarray(0, -1) : ids);
    }
    return rows.rows();
  }
}
