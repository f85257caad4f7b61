// Edit distance to one reference, searched in a band around the diagonal, with the way back from the last cell.

export const Edit = { undefined: 0, keep: 1, substitute: 2, insert: 3, delete: 4 } as const;
export type Edit = (typeof Edit)[keyof typeof Edit];

/** Cells looked at on each side of the diagonal, Tercom's beam. */
const beamWidth = 25;
const infinity = 2 ** 30;

/**
 * Number of insertions, deletions and substitutions that turn a hypothesis into the reference. Rows of the matrix that
 * belong to a prefix shared with the hypothesis asked about before are kept, so that asking about many rearrangements of
 * one hypothesis costs little. All hypotheses must have the same length, on which the band depends.
 */
export class BandedEditDistance {
  readonly #reference: readonly number[];
  readonly #length: number;
  readonly #stride: number;
  readonly #costs: Int32Array;
  readonly #edits: Uint8Array;
  #known: readonly number[] = [];

  constructor(reference: readonly number[], hypothesisLength: number) {
    this.#reference = reference;
    this.#length = hypothesisLength;
    this.#stride = reference.length + 1;
    this.#costs = new Int32Array((hypothesisLength + 1) * this.#stride);
    this.#edits = new Uint8Array(this.#costs.length);
    for (let j = 0; j < this.#stride; j++) this.#costs[j] = j;
    this.#edits.fill(Edit.insert, 0, this.#stride);
  }

  /** The distance of these words from the reference. */
  distance(words: readonly number[]): number {
    let shared = 0;
    while (shared < this.#known.length && this.#known[shared] === words[shared]) shared++;
    for (let i = shared + 1; i <= this.#length; i++) this.#fillRow(i, words[i - 1]!);
    this.#known = words;
    return this.#costs[this.#costs.length - 1]!;
  }

  /** The edits found by the last call of `distance`, from the first word to the last. */
  edits(): Edit[] {
    const path: Edit[] = [];
    let [i, j] = [this.#length, this.#reference.length];
    while (i > 0 || j > 0) {
      const edit = this.#edits[i * this.#stride + j]! as Edit;
      if (edit === Edit.undefined) throw new Error("edit distance left its band"); // the band always overlaps the row before
      path.push(edit);
      if (edit !== Edit.insert) i--;
      if (edit !== Edit.delete) j--;
    }
    return path.reverse();
  }

  /** Row i of the matrix. Of equal costs, keeping or substituting wins over deletion, deletion over insertion. */
  #fillRow(i: number, word: number): void {
    const [costs, edits, stride] = [this.#costs, this.#edits, this.#stride];
    const ratio = this.#reference.length / this.#length;
    // Where the lengths differ so much that two rows' bands would not meet, the band widens.
    const width = beamWidth < ratio / 2 ? Math.ceil(ratio / 2 + beamWidth) : beamWidth;
    const diagonal = Math.floor(i * ratio);
    const from = Math.max(0, diagonal - width);
    const to = i === this.#length ? stride : Math.min(stride, diagonal + width);

    const row = i * stride;
    const above = row - stride;
    costs.fill(infinity, row, row + stride);
    edits.fill(Edit.undefined, row, row + stride);
    for (let j = from; j < to; j++) {
      let cost = infinity;
      let edit: Edit = Edit.undefined;
      if (j > 0) {
        const same = word === this.#reference[j - 1];
        const diagonalCost = costs[above + j - 1]! + (same ? 0 : 1);
        if (diagonalCost < cost) [cost, edit] = [diagonalCost, same ? Edit.keep : Edit.substitute];
      }
      const deletion = costs[above + j]! + 1;
      if (deletion < cost) [cost, edit] = [deletion, Edit.delete];
      if (j > 0) {
        const insertion = costs[row + j - 1]! + 1;
        if (insertion < cost) [cost, edit] = [insertion, Edit.insert];
      }
      costs[row + j] = cost;
      edits[row + j] = edit;
    }
  }
}
