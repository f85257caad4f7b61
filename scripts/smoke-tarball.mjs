// Installs the packed package in an empty folder, as a stranger would, and tries every door of it:
// each entry of "exports" from Node, the types of the README's program, and the `heddle` command.
//   npm run smoke
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const { name, version, exports } = JSON.parse(readFileSync("package.json", "utf8"));
const folder = mkdtempSync(join(tmpdir(), "heddle-smoke-"));
const npm = process.platform === "win32" ? "npm.cmd" : "npm";
// The CUDA libraries that onnxruntime-node would download are no part of this check.
const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: "skip" };
const call = (program, words, cwd = folder) =>
  execFileSync(program, words, { cwd, env, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });

try {
  // Our own build script prints before npm's JSON, so that only the last part of the output is JSON.
  const packed = call(npm, ["pack", "--json", "--pack-destination", folder], process.cwd());
  const [tarball] = JSON.parse(packed.slice(packed.search(/^\[/m)));
  const strays = tarball.files.filter(
    ({ path }) => /^(src|test|bench)\/|\.ts\.map$/.test(path) || /\/\./.test(`/${path}`),
  );
  if (strays.length > 0)
    throw new Error(`the package holds files that are not for users: ${strays.map(({ path }) => path).join(", ")}`);
  console.log(`packed ${tarball.entryCount} files, ${(tarball.unpackedSize / 1e6).toFixed(1)} MB`);

  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "empty", private: true, type: "module" }));
  call(npm, ["install", "--no-audit", "--no-fund", "--prefer-offline", `./${tarball.filename}`]);

  for (const entry of Object.keys(exports)) {
    const specifier = name + entry.slice(1);
    const how = entry.endsWith(".json") ? `, { with: { type: "json" } }` : "";
    const count = call(process.execPath, [
      "--no-warnings",
      "--input-type=module",
      "-e",
      `console.log(Object.keys(await import("${specifier}"${how})).length)`,
    ]);
    if (Number(count) === 0) throw new Error(`${specifier} exports nothing`);
    console.log(`${specifier}: ${count.trim()} names`);
  }

  const [, program] = /```ts\n([^]*?)```/.exec(readFileSync("README.md", "utf8")) ?? [];
  if (program === undefined) throw new Error("README.md has no program to check");
  writeFileSync(join(folder, "program.ts"), program);
  const tsc = resolve("node_modules/typescript/bin/tsc");
  const types = ["--typeRoots", resolve("node_modules/@types"), "--types", "node"];
  call(process.execPath, [
    tsc,
    "--noEmit",
    "--strict",
    "--target",
    "es2023",
    "--module",
    "nodenext",
    ...types,
    "program.ts",
  ]);
  console.log("README's program: its types are right");

  const said = call(join(folder, "node_modules/.bin/heddle"), ["--version"]).trim();
  if (said !== version) throw new Error(`heddle --version says ${said}, package.json ${version}`);
  call("npx", ["heddle", "--help"]);
  if (!call("npx", ["heddle", "lab", "positional-encoding"]).includes("The claim held"))
    throw new Error("heddle lab does not come to a verdict");
  console.log(`npx heddle --version: ${said}`);
} catch (error) {
  // A program that failed has told why on its standard output, as tsc does, or on ours.
  console.error(`smoke run failed: ${error.message}\n${error.stdout ?? ""}`);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
