// One walk of a sequence through a model: what parts may ask about it, and where they leave what is no output.
import type { Tensor } from "../tensor/index.ts";
import type { Parameter } from "./module.ts";

/**
 * Most parts only turn x into y. A few need to know which positions are padding (experts, batch norm), and a few report: a
 * loss to add to the model's own, figures to show, statistics that outlive the step. Nothing is computed here; all values are
 * symbolic and belong to the trace.
 */
export class Pass {
  /** Which positions of x are no padding: bool [batch, time]; undefined where all count. */
  readonly valid: Tensor | undefined;
  readonly reports: PassReports;

  constructor(valid?: Tensor, reports: PassReports = new PassReports()) {
    this.valid = valid;
    this.reports = reports;
  }
}

/** What the parts of a model left on one trace of it; encoder and decoder share one. */
export class PassReports {
  /** Scalars added to the loss; each is a mean over tokens, its weight multiplied in. */
  readonly losses: Tensor[] = [];
  /** Scalars worth showing, by name. */
  readonly figures = new Map<string, Tensor>();
  /** New values of parameters that follow the data and not a gradient, such as running means; training writes them back. */
  readonly statistics = new Map<Parameter, Tensor>();
}
