// How quantities, times and addresses are written.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });
const TIME = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const COUNT = new Intl.NumberFormat("en");

/** Write bytes, as `1.5 MiB`. */
export function size(bytes) {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : 1;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** Write bytes in a second. */
export function rate(bytes) {
  return `${size(bytes)}/s`;
}

/** Write a number with separators. */
export function count(number) {
  return COUNT.format(number);
}

/** Write how many there are of something. */
export function counted(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** Write a share of a whole. */
export function percent(share) {
  return `${Math.round(100 * share)} %`;
}

/** Write seconds, as `3 min`. */
export function duration(seconds) {
  if (seconds < 0.0995) return `${(1000 * seconds).toFixed(seconds < 0.00995 ? 1 : 0)} ms`;
  if (seconds < 99.5) return `${seconds.toFixed(seconds < 9.95 ? 1 : 0)} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

/** Write a time of the gateway, which may be none, as short as it can be told from others. */
export function when(text) {
  if (text === null) return "";
  const time = new Date(text);
  const now = new Date();
  if (time.toDateString() === now.toDateString()) return TIME.format(time);
  return (time.getFullYear() === now.getFullYear() ? DAY : DATE).format(time);
}

/** Write the whole of a time. */
export function date(text) {
  return text === null ? "" : DATE.format(new Date(text));
}

/** Return the address of a path, each name encoded. */
export function address(prefix, path) {
  return prefix + path.split("/").map(encodeURIComponent).join("/");
}

/** Return the path of a name in a directory. */
export function join(directory, name) {
  return directory === "/" ? `/${name}` : `${directory}/${name}`;
}

/** Return the directory that a path is in. */
export function parent(path) {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}
