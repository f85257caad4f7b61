/** Heddle's version, as in package.json: it is written into the files that Heddle makes. */
export const version = "0.1.0";
