/** How one request is answered; `hang` never answers, `drop` closes the connection after the request was read. */
export type Reply = {
  status?: number;
  headers?: Record<string, string>;
  body?: string;
  hang?: boolean;
  drop?: boolean;
};

export type Received = {
  method: string;
  /** Path and query below the inbox. */
  path: string;
  headers: Record<string, string | string[] | undefined>;
  body: string;
  at: number;
};
