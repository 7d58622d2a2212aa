// What every part of the page uses: the data, what is remembered, words and elements.
// Every text of the data is untrusted: it becomes text nodes and attributes, never markup.

const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const KINDS = ["approve", "reject", "pin", "reroll"];
const PAST = { approve: "approved", reject: "rejected", pin: "pinned", reroll: "rejected", choose: "approved", unpin: "undecided" };
const LABEL = { ...PAST, choose: "chosen" };
const MODES = ["after", "before", "beside", "slider", "difference"];
const KEY = { a: "approve", r: "reject", p: "pin", e: "reroll" };
const ICON = {
  approve: "M4 12.5l5 5L20 6.5", choose: "M4 12.5l5 5L20 6.5", reject: "M6 6l12 12M18 6L6 18", unpin: "M5 5l14 14",
  pin: "M12 21v-6M7 4h10M9 4v6l-3 5h12l-3-5V4", reroll: "M20 12a8 8 0 1 1-2.4-5.7M20 3v5h-5",
};
const FIRST_ROWS = 10;

// What this browser remembers; where it may keep nothing, the page works all the same.
const memory = {
  works: true,
  read(name) {
    try { return JSON.parse(localStorage.getItem(`newbie-page:${name}`)); } catch { this.works = false; return null; }
  },
  write(name, value) {
    try { localStorage.setItem(`newbie-page:${name}`, JSON.stringify(value)); } catch { this.works = false; }
  },
};
const place = `${data.set}:${data.version}:${data.digest}`;
const usual = memory.read("usual") ?? {};
const narrow = matchMedia("(max-width: 40rem)").matches;
const state = {
  lang: data.words[usual.lang] ? usual.lang : navigator.language.startsWith("zh") ? "zh" : "en",
  theme: ["light", "dark"].includes(usual.theme) ? usual.theme : "auto",
  by: typeof usual.by === "string" ? usual.by : "",
  view: data.isMatrix && !narrow ? "matrix" : "grid",
  show: "all", decision: "any", character: "", search: "", mode: "after", choosesFirst: true, at: 50,
  current: null, isMarked: false, visible: [],
};
const byId = new Map(data.pictures.map((picture) => [picture.id, picture]));
const drafts = readDrafts();
const tiles = new Map();
let waiting = [];

function readDrafts() {
  const kept = memory.read(place), found = new Map();
  for (const [id, draft] of Array.isArray(kept) ? kept : []) {
    const picture = byId.get(id);
    const isTaken = picture?.history?.some((one) => one.at === draft.at && one.decision === draft.decision);
    if (picture && draft && !isTaken && draft.pixels === picture.pixels && draft.decision in PAST && (draft.decision !== "choose" || chosen(picture, draft))) found.set(id, draft);
  }
  return found;
}

// Words and elements

function t(key, values = {}) {
  const text = data.words[state.lang][key] ?? key;
  return text.replace(/\{(\w+)\}/g, (all, name) => String(values[name] ?? all));
}

function h(name, props = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key in element && typeof value === "boolean") element[key] = value;
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

function icon(kind) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", ICON[kind]);
  svg.append(path);
  return svg;
}

const button = (kind, text, onclick, props = {}) => h("button", { type: "button", class: kind, onclick, ...props }, text);
const say = (text) => { $("said").textContent = text; };
const when = (text) => {
  const date = new Date(text);
  return Number.isNaN(date.valueOf()) ? text
    : new Intl.DateTimeFormat(state.lang, { dateStyle: "medium", timeStyle: "short" }).format(date);
};
const nameOf = (row) => data.names[row] || row;
const decisionOf = (picture) => drafts.get(picture.id)?.decision ?? picture.standing ?? "";
const statusOf = (picture) => PAST[decisionOf(picture)] ?? "undecided";
