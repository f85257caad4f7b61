// hub: checkpoints in Hugging Face's layout, in and out, one family a file.
export { fitAdapter, type Adapter } from "./adapter-format.ts";
export { fromHub, toHub, type HubModel, type ModelClass } from "./conversion.ts";
export { supportedModelTypes } from "./families.ts";
export { type HubConfig } from "./family.ts";
