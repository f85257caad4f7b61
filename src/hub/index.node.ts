// hub in Node: everything of index.ts, and folders on the disk.
export { fromHub, supportedModelTypes, toHub, type HubConfig, type HubModel } from "./index.ts";
export {
  loadHuggingFace,
  saveHuggingFace,
  type HuggingFaceModel,
  type SaveHuggingFaceOptions,
} from "./hugging-face.node.ts";
