// The page: which view is shown, what is polled, and what happens when the gateway is away or wants a token.

import { ask, hasToken, setToken } from "./api.js";
import { el, setText } from "./dom.js";
import { Files } from "./files.js";
import { Removed } from "./removed.js";
import { signIn } from "./sign_in.js";
import { Overview } from "./overview.js";
import { Uploads } from "./uploads.js";
import { HEALTH, UNKNOWN } from "./words.js";

const INTERVAL_S = 2;

const content = document.getElementById("content");
const overview = new Overview(INTERVAL_S);
const uploads = new Uploads(document.getElementById("transfers"), (directory) => {
  if (view instanceof Files && view.path === directory) void view.refresh();
});

let view = null;
let gateway = null;
let isGone = false;
let isAsking = false;
let isSigningIn = false;

/** Say why this token may not write; nothing when it may. */
function mayWrite() {
  if (gateway === null || gateway.identity.rights.includes("write")) return "";
  return `The token of ${gateway.identity.name} has no right to write; ask the operator of the gateway for it.`;
}

function place() {
  const [, name = "", rest = ""] = /^#\/(files|removed)(\/.*)?$/s.exec(location.hash) ?? [];
  let path = "/";
  try {
    path = rest.split("/").map(decodeURIComponent).join("/").replace(/\/+$/, "") || "/";
  } catch {
    // Somebody wrote the address by hand.
  }
  return { name: name || "overview", path };
}

function navigate() {
  if (isSigningIn) return;
  const { name, path } = place();
  const makers = { files: () => new Files(path, { uploads, mayWrite }), removed: () => new Removed(path, { mayWrite }) };
  view = makers[name]?.() ?? overview;
  content.replaceChildren(view.element);
  for (const link of document.querySelectorAll("header nav a")) {
    const isHere = link.dataset.view === name;
    if (isHere) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    // From a folder to what was removed from it, and back.
    if (name !== "overview" && link.dataset.view !== "overview") {
      link.href = `#/${link.dataset.view}${path === "/" ? "" : path.split("/").map(encodeURIComponent).join("/")}/`;
    }
  }
  document.title = name === "overview" ? "dstore" : `${path} – dstore`;
}

function wantToken(problem) {
  if (isSigningIn) return;
  isSigningIn = true;
  document.getElementById("sign-out").hidden = true;
  document.getElementById("who").hidden = true;
  document.getElementById("health-pill").hidden = true;
  content.replaceChildren(signIn(problem, (told) => {
    isSigningIn = false;
    gateway = told;
    navigate();
    void poll();
  }));
  content.querySelector("input").focus();
}

async function poll() {
  if (isAsking || isSigningIn || document.hidden) return;
  isAsking = true;
  const [told, state] = await Promise.allSettled([ask("GET", "/v1/gateway"), ask("GET", "/v1/cluster")]);
  isAsking = false;
  if (isSigningIn) return;
  if (told.status === "rejected" && told.reason.reason === "RIGHT_MISSING") {
    wantToken(told.reason);
    return;
  }
  const before = gateway;
  const now = told.value ?? null;
  const cluster = state.value ?? null;
  if (now !== null) gateway = now;
  warn(told.reason ?? null, state.reason ?? null, now !== null);
  overview.show({ gateway: now, cluster, before, failure: state.reason ?? null });
  showStatus(cluster);
}

function warn(noGateway, noCluster, isBack) {
  const banner = document.getElementById("banner");
  const failure = noGateway ?? noCluster;
  let text = "";
  if (noGateway !== null && noGateway.status === 0) text = `The gateway does not answer; asking again every ${INTERVAL_S} s. What is shown may be old.`;
  else if (failure !== null) text = failure.message;
  if (banner.textContent !== text) banner.textContent = text;
  banner.hidden = text === "";
  document.body.classList.toggle("is-old", text !== "");
  if (isBack && isGone && view !== overview) void view.refresh();
  isGone = noGateway !== null;
}

function showStatus(cluster) {
  const pill = document.getElementById("health-pill");
  const look = cluster === null ? UNKNOWN : (HEALTH[cluster.health] ?? UNKNOWN);
  pill.className = `pill ${look.kind}`;
  pill.hidden = false;
  setText(pill, look.title);
  pill.setAttribute("aria-label", `Health: ${look.title}`);
  const who = document.getElementById("who");
  who.hidden = !hasToken() || gateway === null;
  if (gateway !== null) setText(who, mayWrite() === "" ? gateway.identity.name : `${gateway.identity.name}, read only`);
  document.getElementById("sign-out").hidden = !hasToken();
  if (cluster !== null) setText(document.getElementById("about"), `cluster ${cluster.cluster_id}, dstore ${cluster.version}`);
}

window.addEventListener("hashchange", () => {
  navigate();
  // The link that was followed is gone with the view that it was in; the keyboard goes on in the next one.
  if (document.activeElement === document.body) content.focus({ preventScroll: true });
});
window.addEventListener("token-wanted", (event) => wantToken(event.detail));
document.addEventListener("visibilitychange", () => void poll());
document.getElementById("sign-out").addEventListener("click", () => {
  setToken("");
  location.reload();
});
// The address names the view, so this is no link to a part of the page.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  content.focus();
});
// What is dropped beside the browser must not replace the page.
for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.preventDefault());

content.replaceChildren(el("p", { class: "empty", text: "Loading…" }));
await poll();
navigate();
setInterval(() => void poll(), 1000 * INTERVAL_S);
