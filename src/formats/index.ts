// formats: bytes in, plain objects out, and back: ONNX models, safetensors, TensorBoard event records.
export { float32FromBfloat16, float32FromFloat16, toFloat32 } from "./float16.ts";
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
export { encodeOnnx, onnxTypeOf, type EncodeOnnxOptions } from "./onnx-encode.ts";
export { decodeSafetensors, encodeSafetensors, type Safetensors } from "./safetensors.ts";
export { readSafetensorsHeader, type SafetensorsEntry, type SafetensorsHeader } from "./safetensors-header.ts";
export { tensorboardOpening, tensorboardResumption, tensorboardScalars } from "./tensorboard.ts";
