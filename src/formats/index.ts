// formats: bytes in, plain objects out, and back: ONNX models.
export {
  type OnnxAttribute,
  type OnnxExternalData,
  type OnnxGraph,
  type OnnxInitializer,
  type OnnxModel,
  type OnnxNode,
  type OnnxValue,
} from "./onnx.ts";
export { decodeOnnx, type DecodeOnnxOptions } from "./onnx-decode.ts";
export { encodeOnnx, type EncodeOnnxOptions } from "./onnx-encode.ts";
