// What was removed from a directory or replaced in it, newest first, and how it comes back.

import { ask } from "./api.js";
import { button, el, icon, reconcile, setText } from "./dom.js";
import { address, date, duration, join, parent, size, when } from "./format.js";
import { crumbs } from "./files.js";
import { askText, complain, toast } from "./notices.js";

const PAGE = 1000;
const SHOWN_MAX = 2000;
const PAGES_MAX = 100;
const TAKEN = new Set(["FILE_EXISTS", "STILL_LIVE"]);

/** The view of what was in one directory. */
export class Removed {
  constructor(path, { mayWrite }) {
    this.path = path;
    this.mayWrite = mayWrite;
    this.body = el("tbody", {});
    this.state = el("p", { class: "empty", role: "status", text: "Loading…" });
    this.table = el(
      "table",
      { class: "files" },
      el("thead", {}, el("tr", {}, ...["Name", "Size", "When", ""].map((text) =>
        el("th", { scope: "col" }, text === "" ? el("span", { class: "sr-only", text: "Actions" }) : text)))),
      this.body,
    );
    this.table.hidden = true;
    this.note = el("p", { class: "fine", hidden: true, text: "More was removed than is shown here; `dstore trash` lists all of it." });
    this.element = el(
      "section",
      { class: "card browser", "aria-label": "Removed files" },
      el("h1", { class: "sr-only", text: `Removed from ${path}` }),
      el("div", { class: "toolbar" }, crumbs(path, "#/removed")),
      this.state,
      this.table,
      this.note,
    );
    void this.refresh();
  }

  /** Load all of it anew. */
  async refresh() {
    this.element.setAttribute("aria-busy", "true");
    try {
      const found = [];
      let cursor = null;
      let pages = 0;
      let count = 0;
      // Pages come oldest first, and people look for what they removed last.
      do {
        const query = new URLSearchParams({ limit: PAGE, ...(cursor === null ? {} : { cursor }) });
        const page = await ask("GET", `${address("/v1/removed", this.path === "/" ? "" : this.path)}?${query}`);
        found.push(...page.removed);
        count += page.removed.length;
        if (found.length > SHOWN_MAX) found.splice(0, found.length - SHOWN_MAX);
        cursor = page.next_cursor;
        pages += 1;
        if (!this.element.isConnected) return;
      } while (cursor !== null && pages < PAGES_MAX);
      this.#show(found.reverse());
      this.note.hidden = cursor === null && count <= SHOWN_MAX;
    } catch (failure) {
      setText(this.state, failure.message);
      this.state.classList.add("problem");
      this.state.hidden = false;
      this.table.hidden = true;
    }
    this.element.setAttribute("aria-busy", "false");
  }

  #show(entries) {
    setText(this.state, "Nothing was removed from this folder lately.");
    this.state.classList.remove("problem");
    this.state.hidden = entries.length > 0;
    this.table.hidden = entries.length === 0;
    reconcile(this.body, entries, {
      key: (entry) => `${entry.version} ${entry.path}`,
      make: (entry) => this.#make(entry),
      update: (row, entry) => setText(row.children[2].children[1], `for ${duration(entry.expires_in_s)} more`),
    });
  }

  #make(entry) {
    const isFolder = entry.kind === "directory";
    return el(
      "tr",
      {},
      el("th", { scope: "row" }, el("span", { class: "name", title: entry.path }, icon(isFolder ? "folder" : "file"), el("span", { text: entry.name }),
        entry.reason === "replaced" ? el("span", { class: "pill none", text: "replaced" }) : null)),
      el("td", { class: "size", text: isFolder ? "" : size(entry.size_bytes) }),
      el("td", { class: "date" }, el("span", { text: when(entry.removed), title: date(entry.removed) }), el("span", { class: "fine" })),
      el("td", { class: "acts" }, el("div", { class: "tools" },
        button(`Restore ${entry.name}`, { image: "restore", text: "Restore", act: () => void this.#restore(entry) }))),
    );
  }

  async #restore(entry) {
    const refusal = this.mayWrite();
    if (refusal !== "") return toast(refusal, { kind: "bad" });
    try {
      await this.#bringBack(entry, entry.path);
    } catch (failure) {
      if (!TAKEN.has(failure.reason)) return complain(failure);
      askText({
        title: "Its place is taken",
        label: "Restore it as",
        value: otherName(entry),
        confirm: "Restore",
        act: (name) => this.#bringBack(entry, name.startsWith("/") ? name : join(parent(entry.path), name)),
      });
    }
    return undefined;
  }

  async #bringBack(entry, target) {
    const answer = await ask("POST", address("/v1/removed", entry.path), { body: { to: target, version: entry.version }, timeoutMs: 120000 });
    toast(`Restored ${answer.restored.path}`);
    await this.refresh();
  }
}

function otherName({ name, version }) {
  const dot = name.lastIndexOf(".");
  return dot > 0 ? `${name.slice(0, dot)} (version ${version})${name.slice(dot)}` : `${name} (version ${version})`;
}
