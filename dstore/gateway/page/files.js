// The file browser: folders, page by page, and all that is done to files.

import { ask } from "./api.js";
import { button, el, icon, reconcile, setText } from "./dom.js";
import { address, counted, date, join, parent, size, when } from "./format.js";
import { askText, complain, decide, toast } from "./notices.js";

const PAGE = 200;

/** The view of one directory. `mayWrite` says why not, or nothing; `uploads` takes files. */
export class Files {
  constructor(path, { uploads, mayWrite }) {
    this.path = path;
    this.uploads = uploads;
    this.mayWrite = mayWrite;
    this.entries = [];
    this.cursor = null;
    this.asked = 0;
    this.body = el("tbody", {});
    this.state = el("p", { class: "empty", role: "status", text: "Loading…" });
    this.more = button("Show more", { act: () => void this.#load(this.cursor) });
    this.more.hidden = true;
    this.table = el(
      "table",
      { class: "files" },
      el("thead", {}, el("tr", {}, ...["Name", "Size", "Changed", ""].map((text) =>
        el("th", { scope: "col" }, text === "" ? el("span", { class: "sr-only", text: "Actions" }) : text)))),
      this.body,
    );
    this.table.hidden = true;
    this.input = el("input", { type: "file", multiple: true, id: "chooser", class: "sr-only", tabindex: "-1", "aria-label": "Files to upload", on: { change: () => this.#chosen() } });
    this.element = el(
      "section",
      { class: "card browser", "aria-label": "Files" },
      el("h1", { class: "sr-only", text: `Files in ${path}` }),
      el("div", { class: "toolbar" }, crumbs(path, "#/files"), el("div", { class: "tools" },
        button("New folder", { image: "plus", act: () => this.#makeFolder() }),
        button("Upload", { image: "upload", kind: "main", act: () => this.#writes(() => this.input.click()) }), this.input)),
      this.state,
      this.table,
      this.more,
      el("div", { class: "dropping", "aria-hidden": "true" }, icon("upload"), el("span", { text: "Drop files to upload them here" })),
    );
    this.#takeDrops();
    void this.refresh();
  }

  /** Load the directory anew, as far as it was shown. */
  async refresh() {
    const wanted = Math.max(this.entries.length, PAGE);
    await this.#load(null, Math.min(Math.ceil(wanted / PAGE) * PAGE, 1000));
  }

  async #load(cursor, limit = PAGE) {
    this.asked += 1;
    const asked = this.asked;
    this.more.disabled = true;
    this.element.setAttribute("aria-busy", "true");
    try {
      const query = new URLSearchParams({ limit, ...(cursor === null ? {} : { cursor }) });
      const prefix = this.path === "/" ? "/v1/files" : `${address("/v1/files", this.path)}/`;
      const page = await ask("GET", `${prefix}?${query}`);
      // What was asked for later is newer, whatever comes first.
      if (asked !== this.asked) return;
      this.entries = cursor === null ? page.files : [...this.entries, ...page.files];
      this.cursor = page.next_cursor;
      this.#show();
    } catch (failure) {
      if (asked !== this.asked) return;
      this.#fail(failure);
    }
    this.more.disabled = false;
    this.element.setAttribute("aria-busy", "false");
  }

  #show() {
    setText(this.state, "This folder is empty. Drop files here, or press Upload.");
    this.state.classList.remove("problem");
    this.state.hidden = this.entries.length > 0;
    this.table.hidden = this.entries.length === 0;
    this.more.hidden = this.cursor === null;
    reconcile(this.body, this.entries, { key: (entry) => entry.path, make: () => makeRow(), update: (row, entry) => this.#update(row, entry) });
  }

  #fail(failure) {
    if (this.entries.length > 0 && failure.status !== 404) return complain(failure);
    setText(this.state, failure.message);
    this.state.classList.add("problem");
    this.state.hidden = false;
    this.table.hidden = true;
    return undefined;
  }

  #update(row, entry) {
    if (row.dataset.version === String(entry.version)) return;
    row.dataset.version = String(entry.version);
    const isFolder = entry.kind === "directory";
    const name = isFolder
      ? el("a", { href: `${address("#/files", entry.path)}/`, class: "name", title: entry.name }, icon("folder"), el("span", { text: entry.name }))
      : el("button", { type: "button", class: "name", title: entry.name, "aria-label": `Download ${entry.name}`, on: { click: () => void download(entry) } }, icon("file"), el("span", { text: entry.name }));
    row.children[0].replaceChildren(name);
    setText(row.children[1], isFolder ? "" : size(entry.size_bytes));
    setText(row.children[2], when(entry.modified));
    row.children[2].title = date(entry.modified);
    row.children[3].replaceChildren(el("div", { class: "tools" },
      isFolder ? null : button(`Download ${entry.name}`, { image: "download", text: "", act: () => void download(entry) }),
      button(`Rename ${entry.name}`, { image: "rename", text: "", act: () => this.#rename(entry) }),
      button(`Remove ${entry.name}`, { image: "remove", text: "", kind: "bad", act: () => void this.#remove(entry) })));
  }

  #writes(act) {
    const refusal = this.mayWrite();
    if (refusal !== "") return toast(refusal, { kind: "bad" });
    return act();
  }

  #makeFolder() {
    this.#writes(() => askText({
      title: "New folder",
      label: "Name",
      value: "",
      confirm: "Make it",
      act: async (name) => {
        await ask("PUT", `${address("/v1/files", join(this.path, oneName(name)))}/`);
        await this.refresh();
      },
    }));
  }

  #rename(entry) {
    const dot = entry.kind === "directory" ? -1 : entry.name.lastIndexOf(".");
    this.#writes(() => askText({
      title: "Rename",
      label: "New name, or a path that begins with /",
      value: entry.name,
      select: dot > 0 ? dot : entry.name.length,
      confirm: "Rename",
      act: async (text) => {
        const target = text.startsWith("/") ? text : join(parent(entry.path), oneName(text));
        await ask("POST", address("/v1/files", entry.path), { body: { rename_to: target } });
        await this.refresh();
      },
    }));
  }

  async #remove(entry) {
    const refusal = this.mayWrite();
    if (refusal !== "") return toast(refusal, { kind: "bad" });
    const isFolder = entry.kind === "directory";
    const text = `${entry.name}\n\n${isFolder ? "The folder goes with all that is in it. It" : "It"} can be restored for a while, under Removed.`;
    const answer = await decide(isFolder ? "Remove this folder?" : "Remove this file?", text, [{ label: "Remove", value: true, kind: "main bad" }]);
    if (answer === null) return undefined;
    try {
      // Only what is shown is removed, not what somebody put in its place.
      const headers = isFolder ? {} : { "If-Match": entry.etag };
      await ask("DELETE", `${address("/v1/files", entry.path)}${isFolder ? "?recursive=true" : ""}`, { headers });
      toast(`Removed ${entry.name}`, { action: { label: "Undo", act: () => void this.#undo(entry) } });
    } catch (failure) {
      complain(failure);
    }
    return this.refresh();
  }

  async #undo(entry) {
    try {
      await ask("POST", address("/v1/removed", entry.path), { body: {}, timeoutMs: 60000 });
      toast(`${entry.name} is back`);
    } catch (failure) {
      complain(failure);
    }
    await this.refresh();
  }

  #chosen() {
    const files = [...this.input.files];
    this.input.value = "";
    void this.#upload(files);
  }

  async #upload(files) {
    const refusal = this.mayWrite();
    if (refusal !== "") return toast(refusal, { kind: "bad" });
    const known = new Set(this.entries.map(({ name }) => name));
    const taken = files.filter(({ name }) => known.has(name));
    let replace = null;
    if (taken.length > 0) {
      const names = taken.slice(0, 5).map(({ name }) => name).join("\n") + (taken.length > 5 ? "\n…" : "");
      replace = await decide(`${counted(taken.length, "file")} of this name ${taken.length === 1 ? "exists" : "exist"}`, names, [
        { label: "Skip", value: false, kind: "" },
        { label: "Replace", value: true, kind: "main" },
      ]);
      if (replace === null) return undefined;
    }
    this.uploads.add(this.path, files.filter(({ name }) => !known.has(name)));
    if (replace) this.uploads.add(this.path, taken, { replace: true });
    return undefined;
  }

  #takeDrops() {
    let depth = 0;
    const over = (change) => {
      depth += change;
      this.element.classList.toggle("is-dropping", depth > 0);
    };
    this.element.addEventListener("dragenter", (event) => { event.preventDefault(); over(1); });
    this.element.addEventListener("dragleave", () => over(-1));
    this.element.addEventListener("dragover", (event) => event.preventDefault());
    this.element.addEventListener("drop", (event) => {
      event.preventDefault();
      over(-depth);
      const items = [...event.dataTransfer.items].filter(({ kind }) => kind === "file");
      const folders = items.filter((item) => item.webkitGetAsEntry()?.isDirectory);
      const files = items.filter((item) => !folders.includes(item)).map((item) => item.getAsFile()).filter((file) => file !== null);
      if (folders.length > 0) toast("Folders are left out; make the folder here, and drop its files into it. `dstore cp -r` takes trees.");
      if (files.length > 0) void this.#upload(files);
    });
  }
}

/** Make the way from the top to a directory. */
export function crumbs(path, prefix) {
  const names = path === "/" ? [] : path.slice(1).split("/");
  const links = names.map((name, index) => ({ name, target: `${address(prefix, `/${names.slice(0, index + 1).join("/")}`)}/` }));
  const all = [{ name: "Top", target: `${prefix}/` }, ...links];
  return el("nav", { class: "crumbs", "aria-label": "Folder" }, el("ol", {}, ...all.map(({ name, target }, index) =>
    el("li", {}, el("a", { href: target, title: name, text: name, "aria-current": index === all.length - 1 ? "page" : null })))));
}

/** Have the browser download a file: it streams to the disk, and this page never holds it. */
async function download(entry) {
  try {
    const ticket = await ask("POST", address("/v1/tickets", entry.path));
    const link = el("a", { href: ticket.address, download: entry.name });
    document.body.append(link);
    link.click();
    link.remove();
  } catch (failure) {
    complain(failure);
  }
}

function oneName(text) {
  if (text.includes("/")) throw new Error("A name has no '/' in it.");
  return text;
}

function makeRow() {
  return el("tr", {}, el("th", { scope: "row" }), el("td", { class: "size" }), el("td", { class: "date" }), el("td", { class: "acts" }));
}
