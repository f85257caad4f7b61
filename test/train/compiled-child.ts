// Scripts that tests start as processes of their own. Node 20 runs no TypeScript, so a script is compiled with all it imports.
import { execFile } from "node:child_process";
import { mkdtemp, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { promisify } from "node:util";

/**
 * Compiles a script, without checking types, into a new folder; gives that folder and the path of the JavaScript in it. `besides` are
 * scripts that it does not import but starts.
 */
export async function compileChild(
  source: string,
  besides: readonly string[] = [],
): Promise<{ folder: string; script: string }> {
  const root = resolve(".");
  const folder = await mkdtemp(join(tmpdir(), "heddle-child-"));
  const session = "src/engine/session.node";
  const config = {
    extends: join(root, "tsconfig.json"),
    compilerOptions: {
      rootDir: root,
      outDir: folder,
      noCheck: true,
      declaration: false,
      sourceMap: false,
      typeRoots: [join(root, "node_modules/@types")],
    },
    files: [source, join(root, `${session}.ts`), ...besides],
    include: [],
  };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(config));
  // What the package's own package.json says to those who run it, said again for this folder.
  await writeFile(
    join(folder, "package.json"),
    JSON.stringify({ type: "module", imports: { "#session": `./${session}.js` } }),
  );
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  await promisify(execFile)(process.execPath, [
    join(root, "node_modules/typescript/bin/tsc"),
    "-p",
    join(folder, "tsconfig.json"),
  ]);
  return { folder, script: join(folder, relative(root, source).replace(/\.ts$/, ".js")) };
}
