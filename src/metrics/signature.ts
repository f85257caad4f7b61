// The line that says how a score was made, so that another can be compared with it.

/** The program whose scores ours equal; its version stands in every signature. */
const referenceVersion = "2.6.0";

/** How many references the lines have: a number, or "var" where lines differ. */
export type ReferenceCount = number | "var";

/** Trials of a statistical test, as they enter the signature. */
export interface Trials {
  readonly kind: "bootstrap" | "randomization";
  readonly trials: number;
  readonly seed: number;
}

/** One fact of a signature: its name, its name in the short form, its value. */
export type SignatureEntry = readonly [name: string, short: string, value: string | number];

/**
 * How a score was made, as sacreBLEU writes it (Post 2018, "A Call for Clarity in Reporting BLEU Scores", section 4).
 *
 * @example
 * new Bleu().corpus(["a b"], [["a b"]]).signature.long; // "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0"
 */
export class Signature {
  readonly entries: readonly SignatureEntry[];

  constructor(references: ReferenceCount, options: readonly SignatureEntry[], tested?: Trials) {
    const test: SignatureEntry[] = [];
    if (tested !== undefined) {
      const kind = tested.kind === "bootstrap" ? "bs" : "ar";
      test.push([kind, kind, tested.trials], ["seed", "rs", tested.seed]);
    }
    this.entries = [["nrefs", "#", references], ...test, ...options, ["version", "v", referenceVersion]];
  }

  /** `nrefs:1|case:mixed|…|version:2.6.0` */
  get long(): string {
    return this.entries.map(([name, , value]) => `${name}:${value}`).join("|");
  }

  /** `#:1|c:mixed|…|v:2.6.0` */
  get short(): string {
    return this.entries.map(([, short, value]) => `${short}:${value}`).join("|");
  }

  toString(): string {
    return this.long;
  }
}

export function yesNo(value: boolean): "yes" | "no" {
  return value ? "yes" : "no";
}
