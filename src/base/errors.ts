// Every error a user can cause. The class says the kind; the fields hold the facts; the text is made from them.

/** Common parent: catch this to catch everything Heddle says about its input. */
export class HeddleError extends Error {
  override name = "HeddleError";
}

/** Shapes or dtypes that do not fit, found while a program is traced. */
export class ShapeError extends HeddleError {
  override name = "ShapeError";
}

/** A configuration that cannot be honoured. `place` is a file, line or key path. */
export class ConfigError extends HeddleError {
  override name = "ConfigError";
  readonly place: string;
  readonly problem: string;

  constructor(place: string, problem: string) {
    super(`${place}: ${problem}`);
    this.place = place;
    this.problem = problem;
  }
}

/** Bytes that are not what they claim to be. `place` is the file or the tensor. */
export class FormatError extends HeddleError {
  override name = "FormatError";
  readonly place: string;
  readonly problem: string;

  constructor(place: string, problem: string) {
    super(`${place}: ${problem}`);
    this.place = place;
    this.problem = problem;
  }
}

/** Data of the user's that cannot be used, with the file and, where there is one, the line (counted from 1). */
export class DataError extends HeddleError {
  override name = "DataError";
  readonly file: string;
  readonly line: number | undefined;
  readonly problem: string;

  constructor(file: string, line: number | undefined, problem: string) {
    super(line === undefined ? `${file}: ${problem}` : `${file}, line ${line}: ${problem}`);
    this.file = file;
    this.line = line;
    this.problem = problem;
  }
}
