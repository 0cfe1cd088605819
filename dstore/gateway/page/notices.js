// What the page says by itself, and what it asks before it acts.

import { button, el } from "./dom.js";

const TOAST_MS = 8000;

/** Say something for a while; with `action`, `{label, act}`, something can be done about it. */
export function toast(text, { kind = "", action } = {}) {
  const note = el("div", { class: `toast ${kind}` }, el("span", { text }));
  const close = () => note.remove();
  if (action !== undefined) {
    note.append(button(action.label, { act: () => { close(); action.act(); } }));
  }
  note.append(button("Dismiss", { image: "close", text: "", act: close }));
  document.getElementById("toasts").append(note);
  setTimeout(close, kind === "bad" ? 2 * TOAST_MS : TOAST_MS);
}

/** Say that something failed. */
export function complain(failure) {
  toast(failure.message, { kind: "bad" });
}

/** Copy the text of an element; where the browser does not allow that, select it. */
export async function copyText(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    toast("Copied.");
  } catch {
    window.getSelection().selectAllChildren(element);
    toast("Selected; copy it with the keyboard.");
  }
}

/** Ask for a decision; return the `value` of the button that was pressed, or null. `choices` are `{label, value, kind}`. */
export function decide(title, text, choices) {
  return new Promise((resolve) => {
    let result = null;
    const dialog = el(
      "dialog",
      { "aria-labelledby": "dialog-title" },
      el("h2", { id: "dialog-title", text: title }),
      el("p", { text }),
      el(
        "div",
        { class: "actions" },
        button("Cancel", { kind: "quiet", act: () => dialog.close() }),
        ...choices.map(({ label, value, kind }) => button(label, { kind, act: () => { result = value; dialog.close(); } })),
      ),
    );
    open(dialog, () => resolve(result));
  });
}

/**
 * Ask for a text and act on it; the dialog stays, and says why, until `act` returns without a failure.
 * `select` is how much of the value is selected at first.
 */
export function askText({ title, label, value, confirm, act, select = value.length }) {
  const input = el("input", { id: "dialog-text", type: "text", value, required: true, maxlength: "4096", autocomplete: "off", spellcheck: "false" });
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const form = el(
    "form",
    { on: { submit: (event) => { event.preventDefault(); void attempt(); } } },
    el("label", { for: "dialog-text", text: label }),
    input,
    problem,
    el("div", { class: "actions" }, button("Cancel", { kind: "quiet", act: () => dialog.close() }), el("button", { type: "submit", class: "main", text: confirm })),
  );
  const dialog = el("dialog", { "aria-labelledby": "dialog-title" }, el("h2", { id: "dialog-title", text: title }), form);
  async function attempt() {
    problem.hidden = true;
    try {
      await act(input.value);
      dialog.close();
    } catch (failure) {
      problem.textContent = failure.message;
      problem.hidden = false;
      input.focus();
    }
  }
  open(dialog);
  input.focus();
  input.setSelectionRange(0, select);
}

function open(dialog, then = () => {}) {
  dialog.addEventListener("close", () => { dialog.remove(); then(); });
  document.body.append(dialog);
  dialog.showModal();
}
