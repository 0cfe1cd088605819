// Talks to the gateway that this page came from, and to nobody else. The token stays in this tab.

const KEY = "dstore-token";
const TIMEOUT_MS = 15000;

let token = sessionStorage.getItem(KEY) ?? "";

/** What the gateway refused, or that it does not answer: `reason` is stable, `message` says what to do. */
export class Failure extends Error {
  constructor(status, reason, message) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

export const unreachable = () =>
  new Failure(0, "GATEWAY_UNREACHABLE", "The gateway does not answer. Nothing is known of what was asked of it.");

/** Return whether there is a token. */
export function hasToken() {
  return token !== "";
}

/** Use a token from here on; an empty one is forgotten. */
export function setToken(given) {
  token = given;
  if (token === "") sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, token);
}

/** Return the headers that say who asks. */
export function authorization() {
  return token === "" ? {} : { Authorization: `Bearer ${token}` };
}

/** Return the failure that an answer says. */
export function failureOf(status, text) {
  try {
    const { reason, message } = JSON.parse(text).error;
    return new Failure(status, String(reason), String(message));
  } catch {
    return new Failure(status, "ANSWER_INVALID", `The gateway answered with status ${status} and no reason.`);
  }
}

/** Ask the gateway; return the JSON of its answer, or throw a Failure. */
export async function ask(method, address, { body, headers = {}, timeoutMs = TIMEOUT_MS } = {}) {
  let answer;
  let text;
  const all = { ...headers, ...authorization() };
  if (body !== undefined) all["Content-Type"] = "application/json";
  try {
    answer = await fetch(address, {
      method,
      headers: all,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.timeout(timeoutMs),
    });
    text = await answer.text();
  } catch {
    throw unreachable();
  }
  if (!answer.ok) {
    const failure = failureOf(answer.status, text);
    if (answer.status === 401) window.dispatchEvent(new CustomEvent("token-wanted", { detail: failure }));
    throw failure;
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new Failure(answer.status, "ANSWER_INVALID", "The gateway's answer cannot be read; load the page anew.");
  }
}
