// What the package exports, name by name. The list is the contract; a change to it has to be seen.
// After a wanted change: npx vitest run test/house -u, and a line in CHANGELOG.md.
import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

type Target = string | Readonly<Record<string, string>>;
const { exports } = JSON.parse(readFileSync("package.json", "utf8")) as { exports: Readonly<Record<string, Target>> };

const entries = Object.entries(exports)
  .filter(([entry]) => entry !== "./package.json")
  .flatMap(([entry, target]) => {
    const conditions = typeof target === "string" ? { default: target } : target;
    return Object.entries(conditions).map(([condition, path]) => {
      const file = path.replace("./dist/", "src/").replace(/\.js$/, ".ts");
      const title = `heddle${entry.slice(1)}${condition === "default" ? "" : ` (${condition})`}`;
      return { title, text: existsSync(file) ? readFileSync(file, "utf8") : "" };
    });
  });

/** Names of the `export { a, type B } from "…"` lists; comments may stand between them. */
function exportedNames(text: string): string[] {
  return [...text.replace(/\/\/.*$/gm, "").matchAll(/export\s+(type\s+)?\{([^}]*)\}/g)].flatMap(
    ([, type = "", list = ""]) =>
      list
        .split(",")
        .map((name) => name.trim())
        .filter((name) => name !== "")
        .map((name) => (type === "" ? name : `type ${name}`)),
  );
}

test.each(entries)("$title re-exports, name by name, and does nothing else", ({ text }) => {
  expect(exportedNames(text)).not.toEqual([]);
  const rest = text
    .replace(/\/\/.*$/gm, "")
    .replace(/\/\*[^]*?\*\//g, "")
    .replace(/export\s+(type\s+)?\{[^}]*\}\s*from\s*"[^"]+";/g, "");
  expect(rest.trim()).toBe("");
});

test("the public names are those of the list", async () => {
  const list = entries.map(({ title, text }) =>
    [
      title,
      ...exportedNames(text)
        .sort()
        .map((name) => `  ${name}`),
    ].join("\n"),
  );
  await expect(`${list.join("\n\n")}\n`).toMatchFileSnapshot("public-api.txt");
});
