// Makes elements. Text is only ever set as text: whatever a file is called, it cannot become a part of the page.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element. `on` holds listeners, `text` its text; all else is an attribute, left out when null or false. */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Make an element of SVG. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name === "text") {
      element.textContent = value;
    } else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Set a text where it changed, so that a selection in it survives. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Make the children of a container those of a list, in its order: kept by key, made once, updated ever after.
 * What has the focus keeps it.
 */
export function reconcile(container, items, { key, make, update }) {
  const known = new Map([...container.children].map((child) => [child.dataset.key, child]));
  let previous = null;
  for (const item of items) {
    const name = String(key(item));
    let child = known.get(name);
    if (child === undefined) {
      child = make(item);
      child.dataset.key = name;
    }
    known.delete(name);
    update(child, item);
    const place = previous === null ? container.firstElementChild : previous.nextElementSibling;
    if (child !== place) container.insertBefore(child, place);
    previous = child;
  }
  for (const child of known.values()) child.remove();
}

const ICONS = {
  check: "M4 12l5 5L20 6",
  warning: "M12 4L2.500 20h19zM12 10v4.500M12 17.300v.2",
  error: "M12 3a9 9 0 100 18 9 9 0 000-18zM9 9l6 6M15 9l-6 6",
  unknown: "M12 3a9 9 0 100 18 9 9 0 000-18zM9.500 9.500a2.500 2.500 0 113.500 2.300c-.7.400-1 .8-1 1.700M12 16.800v.2",
  folder: "M3 6.500h6l2 2.500h10v10H3z",
  file: "M6 3h8l4 4v14H6zM14 3v4h4",
  upload: "M12 16V4M7 9l5-5 5 5M4 20h16",
  download: "M12 4v12M7 11l5 5 5-5M4 20h16",
  rename: "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
  remove: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10.500 11v5.500M13.500 11v5.500",
  restore: "M4 9h10a5 5 0 010 10H8M8 5L4 9l4 4",
  plus: "M12 5v14M5 12h14",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  key: "M14.500 9.500a4 4 0 11-1.200-2.800 4 4 0 011.200 2.800zM13.300 12.300L20 19M17.500 16.500L19.500 14.500",
  close: "M6 6l12 12M18 6L6 18",
};

/** Make an icon, which says nothing that the text beside it does not say. */
export function icon(name) {
  return svg(
    "svg",
    { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" },
    svg("path", { d: ICONS[name] }),
  );
}

/** Make a button; without `text`, `label` is what it is called. */
export function button(label, { image, text = label, kind = "", act }) {
  return el(
    "button",
    { type: "button", class: text === "" ? `icon-only ${kind}` : kind, "aria-label": label, title: text === "" ? label : null, on: { click: act } },
    image === undefined ? null : icon(image),
    text === "" ? null : el("span", { text }),
  );
}
