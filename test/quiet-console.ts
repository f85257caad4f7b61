// A stray console.log fails the test that meets it: the library tells what it has to say through events.
for (const method of ["log", "info", "debug", "warn", "error"] as const) {
  console[method] = (...words: unknown[]) => {
    throw new Error(`console.${method} was called with: ${words.map(String).join(" ")}`);
  };
}
