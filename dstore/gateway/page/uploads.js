// Uploads: two at a time, with their progress, each whole or not at all.

import { authorization, failureOf, unreachable } from "./api.js";
import { button, el, reconcile, setText } from "./dom.js";
import { address, join, size } from "./format.js";

const TOGETHER = 2;
const STATES = { waiting: "waits", running: "", done: "done", failed: "failed", taken: "exists", cancelled: "cancelled" };

/** The uploads of this page; `changed` is called with the directory when a file was stored in it. */
export class Uploads {
  constructor(container, changed) {
    this.container = container;
    this.changed = changed;
    this.all = [];
    this.number = 0;
    this.title = el("h2", {});
    this.list = el("ul", {});
    const clear = button("Close the list of uploads", { image: "close", text: "", act: () => this.#clear() });
    container.append(el("div", { class: "head" }, this.title, clear), this.list);
    window.addEventListener("beforeunload", (event) => {
      if (this.#left() > 0) event.preventDefault();
    });
  }

  /** Upload files into a directory; with `replace`, also where their name is taken. */
  add(directory, files, { replace = false } = {}) {
    for (const file of files) {
      this.number += 1;
      this.all.push({ number: this.number, directory, file, replace, loaded: 0, state: "waiting", message: "", request: null });
    }
    this.#next();
  }

  #left() {
    return this.all.filter(({ state }) => state === "waiting" || state === "running").length;
  }

  #clear() {
    this.all = this.all.filter(({ state }) => state === "waiting" || state === "running");
    this.#show();
  }

  #next() {
    const running = this.all.filter(({ state }) => state === "running").length;
    for (const upload of this.all.filter(({ state }) => state === "waiting").slice(0, TOGETHER - running)) this.#send(upload);
    this.#show();
  }

  #send(upload) {
    const { file, directory } = upload;
    const request = new XMLHttpRequest();
    upload.request = request;
    upload.state = "running";
    request.open("PUT", address("/v1/files", join(directory, file.name)));
    for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value);
    request.setRequestHeader("Content-Type", file.type || "application/octet-stream");
    // Nobody loses a file to a name that somebody else took meanwhile.
    if (!upload.replace) request.setRequestHeader("If-None-Match", "*");
    request.upload.addEventListener("progress", (event) => {
      upload.loaded = event.loaded;
      this.#show();
    });
    request.addEventListener("load", () => this.#answered(upload, request));
    request.addEventListener("error", () => this.#end(upload, "failed", unreachable().message));
    request.addEventListener("abort", () => this.#end(upload, "cancelled", ""));
    request.send(file);
  }

  #answered(upload, request) {
    if (request.status === 200 || request.status === 201) {
      upload.loaded = upload.file.size;
      this.changed(upload.directory);
      return this.#end(upload, "done", "");
    }
    const failure = failureOf(request.status, request.responseText);
    if (failure.reason === "PRECONDITION_FAILED") return this.#end(upload, "taken", "There is a file of this name already.");
    return this.#end(upload, "failed", failure.message);
  }

  #end(upload, state, message) {
    upload.state = state;
    upload.message = message;
    upload.request = null;
    this.#next();
  }

  #act(upload) {
    if (upload.state === "running") return upload.request.abort();
    if (upload.state === "waiting") return this.#end(upload, "cancelled", "");
    upload.replace = upload.replace || upload.state === "taken";
    upload.state = "waiting";
    upload.loaded = 0;
    upload.message = "";
    return this.#next();
  }

  #show() {
    const left = this.#left();
    this.container.hidden = this.all.length === 0;
    setText(this.title, left > 0 ? `Uploading, ${left} left` : "Uploads");
    reconcile(this.list, [...this.all].reverse(), {
      key: ({ number }) => number,
      make: (upload) => this.#make(upload),
      update,
    });
  }

  #make(upload) {
    const act = button("Cancel", { act: () => this.#act(upload) });
    return el(
      "li",
      {},
      el("div", { class: "row" }, el("span", { class: "name", text: upload.file.name, title: upload.file.name }), el("span", { class: "fine" }), act),
      el("progress", { max: "100", "aria-label": `Upload of ${upload.file.name}` }),
      el("p", { class: "problem" }),
    );
  }
}

function update(item, upload) {
  const [row, progress, problem] = item.children;
  const [, state, act] = row.children;
  const total = upload.file.size;
  const share = total === 0 ? (upload.state === "done" ? 1 : 0) : upload.loaded / total;
  item.dataset.state = upload.state;
  progress.value = 100 * share;
  progress.hidden = upload.state !== "running" && upload.state !== "waiting";
  // The gateway answers when everything is durable, which is later than when everything was sent.
  const running = share >= 1 ? "is made durable" : `${size(upload.loaded)} of ${size(total)}, ${Math.floor(100 * share)} %`;
  setText(state, upload.state === "running" ? running : upload.state === "done" ? size(total) : STATES[upload.state]);
  const verb = { running: "Cancel", waiting: "Cancel", failed: "Try again", cancelled: "Try again", taken: "Replace it" }[upload.state];
  act.hidden = verb === undefined;
  setText(act.firstElementChild, verb ?? "");
  act.setAttribute("aria-label", `${verb ?? ""}: ${upload.file.name}`);
  problem.hidden = upload.message === "";
  setText(problem, upload.message);
}
