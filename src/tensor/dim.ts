// Sizes of axes: fixed (a number), named (known when the program runs) or derived from named ones by +, −, × and ⌊÷⌋.
// A derived size is a polynomial with integer coefficients, kept in one canonical form, so that equal sizes compare equal.

/** A size that is known only when the program runs. */
export class SymbolicDim {
  /** Coefficient by monomial; a monomial is its names, sorted and joined by "·", and "" is the constant term. */
  readonly terms: ReadonlyMap<string, number>;
  readonly key: string;

  constructor(terms: ReadonlyMap<string, number>) {
    const kept = [...terms].filter(([, coefficient]) => coefficient !== 0);
    // Higher powers first and constants last reads as people write it: batch·time + 1.
    kept.sort(([a], [b]) => (a === "" ? 1 : 0) - (b === "" ? 1 : 0) || (a < b ? -1 : a > b ? 1 : 0));
    this.terms = new Map(kept);
    this.key = kept
      .map(([monomial, coefficient], i) => {
        const magnitude = Math.abs(coefficient);
        const body = monomial === "" ? `${magnitude}` : magnitude === 1 ? monomial : `${magnitude}·${monomial}`;
        if (i === 0) return coefficient < 0 ? `-${body}` : body;
        return coefficient < 0 ? ` - ${body}` : ` + ${body}`;
      })
      .join("");
  }

  toString(): string {
    return this.key;
  }
}

export type Dim = number | SymbolicDim;
export type Shape = readonly Dim[];

const namePattern = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * A named size.
 * @example
 * const batch = dim("batch");
 * const rows = mulDims(batch, dim("time")); // prints as batch·time
 */
export function dim(name: string): SymbolicDim {
  if (!namePattern.test(name)) throw new RangeError(`dim: a name of letters, digits and _ is wanted, got "${name}"`);
  return new SymbolicDim(new Map([[name, 1]]));
}

function termsOf(size: Dim): ReadonlyMap<string, number> {
  return typeof size === "number" ? new Map([["", size]]) : size.terms;
}

function canonical(terms: Map<string, number>): Dim {
  for (const [monomial, coefficient] of terms) if (coefficient === 0) terms.delete(monomial);
  if (terms.size === 0) return 0;
  if (terms.size === 1 && terms.has("")) return terms.get("")!;
  return new SymbolicDim(terms);
}

function multiplyMonomials(a: string, b: string): string {
  if (a === "") return b;
  if (b === "") return a;
  return [...a.split("·"), ...b.split("·")].sort().join("·");
}

export function addDims(a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number") return a + b;
  const sum = new Map(termsOf(a));
  for (const [monomial, coefficient] of termsOf(b)) sum.set(monomial, (sum.get(monomial) ?? 0) + coefficient);
  return canonical(sum);
}

export function mulDims(a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number") return a * b;
  const product = new Map<string, number>();
  for (const [left, x] of termsOf(a)) {
    for (const [right, y] of termsOf(b)) {
      const monomial = multiplyMonomials(left, right);
      product.set(monomial, (product.get(monomial) ?? 0) + x * y);
    }
  }
  return canonical(product);
}

export function subDims(a: Dim, b: Dim): Dim {
  return addDims(a, mulDims(b, -1));
}

/** a ÷ b where b has one term and the division is exact; undefined where it is not. */
export function divideDims(a: Dim, b: Dim): Dim | undefined {
  if (b === 0) return undefined;
  if (a === 0) return 0;
  if (equalDims(a, b)) return 1;
  const divisor = [...termsOf(b)];
  const [monomial, coefficient] = divisor[0] ?? ["", 0];
  if (divisor.length !== 1 || coefficient === 0) return undefined;
  const quotient = new Map<string, number>();
  for (const [dividend, x] of termsOf(a)) {
    const names = dividend === "" ? [] : dividend.split("·");
    for (const name of monomial === "" ? [] : monomial.split("·")) {
      const at = names.indexOf(name);
      if (at < 0) return undefined;
      names.splice(at, 1);
    }
    if (x % coefficient !== 0) return undefined;
    quotient.set(names.join("·"), x / coefficient);
  }
  return canonical(quotient);
}

// What each rounded quotient stands for. It is named by its content, so that one name has one meaning everywhere.
const quotients = new Map<string, { readonly dividend: Dim; readonly divisor: number }>();

/**
 * ⌊a ÷ divisor⌋: the length that a stride leaves. Whole multiples come out of the bracket and the rest becomes a name of its
 * own, so that ⌊(2·time + 3)/2⌋ is time + 1.
 */
export function floorDivideDim(a: Dim, divisor: number): Dim {
  if (!Number.isInteger(divisor) || divisor < 1)
    throw new RangeError(`floorDivideDim: a divisor of at least 1 is wanted, got ${divisor}`);
  const whole = new Map<string, number>();
  const rest = new Map<string, number>();
  for (const [monomial, coefficient] of termsOf(a)) {
    const quotient = Math.floor(coefficient / divisor);
    whole.set(monomial, quotient);
    rest.set(monomial, coefficient - quotient * divisor);
  }
  const dividend = canonical(rest);
  if (typeof dividend === "number") return canonical(whole); // below the divisor
  const name = `floor((${dividend.key.replaceAll("·", "*")})/${divisor})`;
  quotients.set(name, { dividend, divisor });
  return addDims(canonical(whole), new SymbolicDim(new Map([[name, 1]])));
}

/** What a factor of a size is made of where it is a rounded quotient; undefined for a plain name. */
export function quotientOf(name: string): { readonly dividend: Dim; readonly divisor: number } | undefined {
  return quotients.get(name);
}

// The most that each size found out by a program's own data can be.
const limits = new Map<string, Dim>();

/** A new size that the data decide while the program runs, such as how many values of a mask are true; never above `atMost`. */
export function dataDim(label: string, atMost: Dim): SymbolicDim {
  const name = `${label}#${limits.size}`; // no name that dim() gives
  limits.set(name, atMost);
  return new SymbolicDim(new Map([[name, 1]]));
}

/** A size that the program's inputs give and that this one, whatever the data, does not exceed; sizes are never negative. */
export function largestDim(size: Dim): Dim {
  if (typeof size === "number") return size;
  let largest: Dim = 0;
  for (const [monomial, coefficient] of size.terms) {
    const names = monomial === "" ? [] : monomial.split("·");
    const factors = names.map((name): Dim => {
      const [limit, quotient] = [limits.get(name), quotients.get(name)];
      if (limit !== undefined) return largestDim(limit);
      if (quotient !== undefined) return floorDivideDim(largestDim(quotient.dividend), quotient.divisor);
      return dim(name);
    });
    const isData = namesOf(new SymbolicDim(new Map([[monomial, 1]]))).some((name) => limits.has(name));
    if (coefficient > 0 || !isData) largest = addDims(largest, mulDims(coefficient, factors.reduce(mulDims, 1)));
  }
  return largest;
}

export function equalDims(a: Dim, b: Dim): boolean {
  if (typeof a === "number" || typeof b === "number") return a === b;
  return a.key === b.key;
}

export function equalShapes(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((size, axis) => equalDims(size, b[axis]!));
}

/** Number of elements of a shape. */
export function sizeOf(shape: Shape): Dim {
  return shape.reduce<Dim>(mulDims, 1);
}

/** The size as a number, given the sizes of its names. */
export function evaluateDim(size: Dim, sizes: ReadonlyMap<string, number>): number {
  if (typeof size === "number") return size;
  let total = 0;
  for (const [monomial, coefficient] of size.terms) {
    let product = coefficient;
    for (const name of monomial === "" ? [] : monomial.split("·")) {
      const quotient = quotients.get(name);
      const value =
        quotient === undefined ? sizes.get(name) : Math.floor(evaluateDim(quotient.dividend, sizes) / quotient.divisor);
      if (value === undefined) throw new RangeError(`size "${name}" is not known`);
      product *= value;
    }
    total += product;
  }
  return total;
}

/** Whether a size is a name by itself, as an input can give it. */
export function isName(size: Dim): boolean {
  return size instanceof SymbolicDim && namePattern.test(size.key);
}

/** The names that a size is made of. */
export function namesOf(size: Dim): string[] {
  const factors = [...termsOf(size).keys()].flatMap((monomial) => (monomial === "" ? [] : monomial.split("·")));
  return [
    ...new Set(factors.flatMap((name) => (quotients.has(name) ? namesOf(quotients.get(name)!.dividend) : [name]))),
  ];
}

export function formatShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}
