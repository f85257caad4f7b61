// Progress and logs are events that a door (command line, server, page) listens to; nothing below prints.

export interface LogEvent {
  readonly type: "log";
  readonly level: "info" | "warning";
  readonly message: string;
}

export interface ProgressEvent {
  readonly type: "progress";
  /** What goes on, for example "learning merges". */
  readonly task: string;
  readonly done: number;
  readonly total: number | undefined;
  /** Figures worth showing beside the bar, for example { loss: 3.2 }. */
  readonly figures?: Readonly<Record<string, number>>;
}

export type HeddleEvent = LogEvent | ProgressEvent;
export type Listener = (event: HeddleEvent) => void;

export const silent: Listener = () => {};
