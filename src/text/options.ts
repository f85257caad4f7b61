// One check that the tokenizers' options share.
import { ConfigError } from "../base/index.ts";

/** An option that is a count: a whole number, at least `least`, or left out. */
export function checkWhole(place: string, value: number | undefined, least: number): void {
  if (value !== undefined && !(Number.isSafeInteger(value) && value >= least)) {
    throw new ConfigError(place, `must be a whole number, ${least} or more (got ${value}).`);
  }
}
