// Runs one after another: a device that all sessions share takes one run at a time and refuses a second.
import type { Session } from "./session.ts";

/** Who comes next on one device. */
export class Queue {
  #last: Promise<unknown> = Promise.resolve();

  /** Does the work when everything before it is done, whether that went well or not. */
  after<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work, work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}

/** A session whose runs wait for those of every other session of the queue. */
export function queued(session: Session, queue: Queue): Session {
  return {
    run: (feeds, fetches) => queue.after(() => session.run(feeds, fetches)),
    endProfiling: () => session.endProfiling(),
    // Runs that were asked for before are let through first.
    dispose: () => queue.after(() => session.dispose()),
  };
}
