// One picture: large, compared with what it was, why it changed, and what was decided.

function openViewer() {
  if (!state.current) return;
  showViewer();
  if (!$("viewer").open) $("viewer").showModal();
  $("viewer").querySelector(".bar button:last-child").focus();
}

function showViewer() {
  const picture = state.current, viewer = $("viewer");
  const focused = document.activeElement?.dataset?.focus, note = viewer.querySelector("textarea");
  const selection = focused === "note" ? [note.selectionStart, note.selectionEnd] : null;
  const aside = viewer.dataset.id === picture.id ? viewer.querySelector(".many")?.scrollTop ?? 0 : 0;
  const scrolled = viewer.dataset.id === picture.id ? viewer.querySelector(".panel")?.scrollTop ?? 0 : 0;
  const at = state.visible.indexOf(picture) + 1;
  viewer.dataset.id = picture.id;
  viewer.replaceChildren(
    h("div", { class: "bar" }, h("h2", { id: "viewer-id" }, picture.id), h("p", {}, t("position", { at, count: state.visible.length })),
      button("quiet", "‹", () => step(-1), { "aria-label": t("previous"), "data-focus": "previous", disabled: at <= 1 }),
      button("quiet", "›", () => step(1), { "aria-label": t("next"), "data-focus": "next", disabled: at >= state.visible.length }),
      button("quiet", t("close"), () => viewer.close(), { "data-focus": "close" })),
    stage(picture), modes(picture),
    h("div", { class: "panel", tabindex: "0", role: "region", "aria-labelledby": "viewer-id" }, why(picture), picture.pixels ? actions(picture) : null, past(picture), details(picture), prompt(picture)));
  viewer.querySelector(".panel").scrollTop = scrolled;
  if (aside && viewer.querySelector(".many")) viewer.querySelector(".many").scrollTop = aside;
  const again = focused && viewer.querySelector(`[data-focus="${focused}"]`);
  (again && !again.disabled ? again : viewer.querySelector('[data-focus="close"]')).focus({ preventScroll: true });
  if (selection) viewer.querySelector("textarea").setSelectionRange(...selection);
}

const canCompare = (picture) => Boolean(picture.thumb && picture.before?.thumb);
const full = (look, className, alt) => look?.thumb ? h("img", { src: look.file, class: className, alt, decoding: "async" })
  : h("p", { class: "gone" }, t(look ? "damaged" : "failed"));

const modesOf = (picture) => [...(canCompare(picture) ? MODES : picture.candidates ? ["after"] : []), ...(picture.candidates ? ["candidates"] : [])];

function modeOf(picture) {
  if (picture.candidates && state.choosesFirst) return "candidates";
  return canCompare(picture) ? state.mode : picture.pixels ? "after" : "before";
}

function setMode(picture, mode) {
  if (picture.candidates) state.choosesFirst = mode === "candidates";
  if (mode !== "candidates") state.mode = mode;
  showViewer();
}

function stage(picture) {
  const mode = modeOf(picture);
  if (mode === "candidates") return sideBySide(picture);
  const now = () => full(picture.pixels ? picture : null, "now", `${picture.id}: ${t("after")}`);
  const was = () => full(picture.before, "was", `${picture.id}: ${t("before")}`);
  const caption = (key, side) => (canCompare(picture) ? h("figcaption", { class: side }, t(key)) : null);
  if (mode === "beside") return h("div", { class: "stage" }, fitted(picture.before, "", was(), caption("before")), fitted(picture, "", now(), caption("after")));
  if (mode === "slider") return h("div", { class: "stage" }, fitted(picture, "sliding", now(), was(), slider(), caption("before"), caption("after", "right")));
  if (mode === "difference") return h("div", { class: "stage" }, fitted(picture, "differing", was(), now()));
  if (mode === "before") return h("div", { class: "stage" }, fitted(picture.before, "", was(), caption("before")));
  return h("div", { class: "stage" }, fitted(picture, "", now(), caption("after")));
}

// As large as the stage allows, in the picture's own shape.
function fitted(look, kind, ...children) {
  const box = h("div", { class: `fit ${kind}` }, ...children);
  box.style.setProperty("--ratio", String((look?.width ?? 2) / (look?.height ?? 3)));
  if (kind === "sliding") box.style.setProperty("--at", `${state.at}%`);
  return h("figure", {}, box);
}

function slider() {
  return h("input", { type: "range", min: 0, max: 100, step: 0.5, value: state.at, "aria-label": t("sliderLabel"), "data-focus": "slider",
    oninput() { state.at = Number(this.value); this.parentElement.style.setProperty("--at", `${this.value}%`); } });
}

function modes(picture) {
  const mode = modeOf(picture), all = modesOf(picture);
  const look = picture.pixels ? (mode === "before" && picture.before ? picture.before : picture) : picture.before;
  const choices = all.length ? h("div", { class: "segmented", role: "group", "aria-label": t("compare") }, ...all.map((name) =>
    h("button", { type: "button", "aria-pressed": mode === name ? "true" : "false", "data-mode": name, "data-focus": name, onclick() { setMode(picture, name); } }, t(name)))) : null;
  const same = canCompare(picture) && picture.pixels === picture.before.pixels ? h("span", { class: "hint" }, t("same")) : null;
  return h("div", { class: "modes" }, choices, same, look?.thumb ? h("a", { href: look.file, target: "_blank", rel: "noopener" }, t("original")) : null);
}

function why(picture) {
  const causes = (picture.causes ?? []).map((at) => data.causes[at]);
  const shown = (text) => (text ? text : t("nothing"));
  const items = causes.map(([kind, where, from, to]) => h("li", {}, h("span", { class: "kind" }, t(`cause_${kind}`)), h("code", {}, where),
    from === null && to === null ? null : h("div", {}, h("del", {}, shown(from)), " → ", h("ins", {}, shown(to)))));
  if (!items.length && picture.state === "changed") items.push(h("li", {}, t("nobodyKnows", { parts: picture.parts.join(", ") })));
  if (!items.length && picture.state === "new") items.push(h("li", {}, t("newWhy")));
  if (picture.held !== undefined) items.push(h("li", {}, t("heldWhy", { why: picture.held })));
  if (picture.problem) items.push(h("li", {}, picture.problem));
  if (!items.length) return null;
  return h("section", {}, h("h3", {}, t("why")), h("ul", { class: "causes" }, ...items));
}

function actions(picture) {
  const draft = drafts.get(picture.id), isPinned = picture.standing === "pin";
  const letters = Object.fromEntries(Object.entries(KEY).map(([letter, kind]) => [kind, letter]));
  const buttons = KINDS.map((kind) => {
    const does = kind === "pin" && isPinned ? "unpin" : kind;
    return h("button", { type: "button", class: `act ${does}`, "data-kind": does, "data-focus": does, "aria-pressed": (draft?.decision ?? "") === does ? "true" : "false",
      disabled: kind === "pin" && data.isProposal, title: kind === "pin" && data.isProposal ? t("noPin") : undefined, onclick() { decide(picture, does); } },
    icon(does), t(does), h("kbd", { "aria-hidden": "true" }, letters[kind]));
  });
  const note = h("textarea", { "aria-label": t("note"), placeholder: t("notePlaceholder"), maxlength: 2000, "data-focus": "note", disabled: !draft,
    oninput() { draft.note = this.value; memory.write(place, [...drafts]); } });
  note.value = draft?.note ?? "";
  const count = draft?.decision === "reroll" ? h("label", {}, `${t("count")} `, h("input", { type: "number", min: 1, max: 64, value: draft.count, "data-focus": "count",
    onchange() { draft.count = Math.max(1, Math.min(64, Math.round(Number(this.value)) || 4)); this.value = draft.count; memory.write(place, [...drafts]); } })) : null;
  const hint = picture.candidates ? h("p", { class: "hint" }, t("chooseHint")) : null;
  return h("section", {}, h("h3", {}, t("decide")), hint, h("div", { class: "acts" }, ...buttons), draft ? note : null,
    draft ? h("div", { class: "drafted" }, draft.decision === "choose" ? h("b", {}, told(draft)) : null, t("draft"), count, button("plain", t("undo"), () => undo(picture), { "data-focus": "undo" })) : null);
}

function past(picture) {
  if (!picture.history?.length) return null;
  return h("section", {}, h("h3", {}, t("history")), h("ul", { class: "past" }, ...picture.history.toReversed().map((one) =>
    h("li", { class: one.decision }, h("b", {}, t(one.decision)), h("span", {}, " · ", t("by", { by: one.by, at: when(one.at), version: one.version }),
      one.pixels === picture.pixels ? null : ` (${t("otherPixels")})`), one.note ? h("q", {}, one.note) : null))));
}

function details(picture) {
  const look = picture.pixels ? picture : picture.before;
  if (!look) return null;
  const recipe = data.recipes[look.recipe] ?? {};
  const rows = [["seed", look.seed], ["size", `${look.width} × ${look.height}`], ["steps", recipe.steps], ["guidance", recipe.guidance],
    ["negative", recipe.negative], ["key", look.key, true], ["pixels", look.pixels, true]].filter(([, value]) => value !== undefined && value !== "");
  return h("section", {}, h("h3", {}, t("details")), h("dl", { class: "table" }, ...rows.flatMap(([name, value, isCode]) =>
    [h("dt", {}, t(name)), h("dd", {}, isCode ? h("code", {}, value) : String(value))])));
}

function prompt(picture) {
  const look = picture.thumb ? picture : picture.before;
  const text = data.prompts[look?.prompt] ?? "";
  if (!text) return null;
  const old = canCompare(picture) ? data.prompts[picture.before.prompt] : text;
  const body = h("pre", { class: "prompt", tabindex: "0", role: "region", "aria-label": t("prompt") });
  body.append(...(old === text ? [text] : changes(words(old), words(text))));
  return h("section", {}, h("h3", {}, t(old === text ? "prompt" : "promptChanged")), body);
}
