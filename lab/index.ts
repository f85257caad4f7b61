// The labs, in the order in which the notes come to their claims.
import type { Lab } from "./lab.ts";
import { positionalEncoding } from "./positional-encoding.ts";

export { svgFile } from "./plots/drawing.ts";
export type { Lab, LabContext, LabResult, LabTable, Verdict } from "./lab.ts";

export const labs: readonly Lab[] = [positionalEncoding];
