// Turns a Protobuf schema into src/formats/generated/<name>_pb.ts. The result is committed, so this runs only when a schema changes.
//
//   npm run generate:onnx -- onnx-ml.proto     # the official schema; the Python wheel `onnx` and Debian's libonnx-dev both carry it
//   npm run generate:tensorboard               # our own, src/formats/tensorboard.proto
//
// It needs `protoc` on the path (Debian and Ubuntu: protobuf-compiler) and the npm packages of this repository.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const notices = {
  onnx: "// Derived from the ONNX schema, https://github.com/onnx/onnx, onnx/onnx-ml.proto.\n// SPDX-License-Identifier: Apache-2.0\n// Copyright (c) ONNX Project Contributors\n",
  tensorboard: "// Derived from src/formats/tensorboard.proto.\n// SPDX-License-Identifier: Apache-2.0\n",
};

const [name, schema] = process.argv.slice(2);
if (!(name in notices) || schema === undefined) {
  console.error("usage: node scripts/generate-protobuf.mjs onnx|tensorboard SCHEMA.proto");
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), "heddle-protobuf-"));
try {
  copyFileSync(schema, join(folder, `${name}.proto`));
  // Through a descriptor set without source positions: that drops the schema's comments, which are most of the text.
  const descriptors = join(folder, "descriptors");
  execFileSync("protoc", ["-I", folder, `--descriptor_set_out=${descriptors}`, `${name}.proto`], { stdio: "inherit" });
  execFileSync(
    "protoc",
    [
      `--descriptor_set_in=${descriptors}`,
      `--plugin=${join(root, "node_modules/.bin/protoc-gen-es")}`,
      `--es_out=${folder}`,
      "--es_opt=target=ts,import_extension=ts,erasable_syntax=true",
      `${name}.proto`,
    ],
    { stdio: "inherit" },
  );
  const generated = readFileSync(join(folder, `${name}_pb.ts`), "utf8");
  writeFileSync(join(root, `src/formats/generated/${name}_pb.ts`), notices[name] + generated);
} finally {
  rmSync(folder, { recursive: true });
}
