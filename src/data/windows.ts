// Items that come one by one, taken several at a time.

/**
 * Windows of `size` items in their order; the last may be shorter, and none is empty.
 * @example
 * for await (const window of inWindows(["a", "b", "c"], 2)) window.length; // 2, then 1
 */
export async function* inWindows<Item>(
  items: AsyncIterable<Item> | Iterable<Item>,
  size: number,
): AsyncGenerator<Item[]> {
  let window: Item[] = [];
  for await (const item of items) {
    window.push(item);
    if (window.length < size) continue;
    yield window;
    window = [];
  }
  if (window.length > 0) yield window;
}
