// hub in Node: everything of index.ts, and folders on the disk.
export {
  fitAdapter,
  fromHub,
  supportedModelTypes,
  toHub,
  type Adapter,
  type HubConfig,
  type HubModel,
  type ModelClass,
} from "./index.ts";
export { loadAdapter, readAdapter, saveAdapter } from "./adapter-files.node.ts";
export {
  loadHuggingFace,
  saveHuggingFace,
  type HuggingFaceModel,
  type SaveHuggingFaceOptions,
} from "./hugging-face.node.ts";
