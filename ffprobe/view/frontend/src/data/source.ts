/** Where the page gets its data: from the server that runs beside it, or from the page itself (a report). */

export interface Problem {
  error: string;
  hint: string;
}

export type Answer<T> = { data: T } | { working: string } | { problem: Problem; gone: boolean };

export interface Source {
  /** False for a report: nothing will ever change. */
  readonly live: boolean;
  get<T>(address: string): Promise<Answer<T>>;
  /** The address to load an image from; null if it is not here. */
  image(address: string): string | null;
  /** Calls back with the revisions of changed runs, by id. Returns a function that stops it. */
  follow(changed: (revisions: Record<string, string | null>) => void, connected: (yes: boolean) => void): () => void;
}

const STOPPED: Problem = {
  error: "The server has stopped.",
  hint: "The page shows what it received last. Start `ffprobe view` again and open the address that it prints.",
};

export class ServerSource implements Source {
  readonly live = true;

  async get<T>(address: string): Promise<Answer<T>> {
    let response: Response;
    try {
      response = await fetch(address, { credentials: "same-origin", cache: "no-store" });
    } catch {
      return { problem: STOPPED, gone: true };
    }
    let body: unknown;
    try {
      body = await response.json();
    } catch {
      return { problem: { error: `The answer to ${address} cannot be read.`, hint: "Reload the page." }, gone: false };
    }
    if (response.status === 202) return { working: String((body as { doing?: unknown }).doing ?? "working") };
    if (response.ok) return { data: body as T };
    const { error, hint } = body as Partial<Problem>;
    return { problem: { error: error ?? `Error ${response.status}.`, hint: hint ?? "" }, gone: false };
  }

  image(address: string): string {
    return address;
  }

  /** One connection for each visible tab: browsers allow six to one server, and a hidden tab needs none. */
  follow(changed: (revisions: Record<string, string | null>) => void, connected: (yes: boolean) => void): () => void {
    let stream: EventSource | null = null;
    let timer = 0;
    const open = (): void => {
      close();
      stream = new EventSource("/events");
      stream.onopen = () => connected(true);
      stream.addEventListener("runs", (event) => {
        connected(true);
        changed(JSON.parse((event as MessageEvent<string>).data) as Record<string, string | null>);
      });
      stream.onerror = () => {
        connected(false);
        if (stream?.readyState === EventSource.CLOSED) timer = window.setTimeout(open, 2000);
      };
    };
    const close = (): void => {
      window.clearTimeout(timer);
      stream?.close();
      stream = null;
    };
    const seen = (): void => {
      if (document.hidden) return close();
      open();
      changed({}); // what happened while the tab was hidden
    };
    document.addEventListener("visibilitychange", seen);
    if (!document.hidden) open();
    return () => {
      document.removeEventListener("visibilitychange", seen);
      close();
    };
  }
}

export class InlinedSource implements Source {
  readonly live = false;

  constructor(private readonly answers: Record<string, unknown>) {}

  async get<T>(address: string): Promise<Answer<T>> {
    if (Object.hasOwn(this.answers, address)) return { data: this.answers[address] as T };
    const problem = { error: "This is not in the report.", hint: "`ffprobe view` shows it from the run files." };
    return { problem, gone: false };
  }

  image(address: string): string | null {
    const image = Object.hasOwn(this.answers, address) ? this.answers[address] : null;
    return typeof image === "string" && image.startsWith("data:image/png;base64,") ? image : null;
  }

  follow(): () => void {
    return () => undefined;
  }
}

/** The source that this document has: a report has its data in an element of its own. */
export function findSource(): Source {
  const inlined = document.getElementById("ffprobe-data");
  if (!inlined) return new ServerSource();
  const { answers } = JSON.parse(inlined.textContent ?? "{}") as { answers?: Record<string, unknown> };
  return new InlinedSource(answers ?? {});
}
