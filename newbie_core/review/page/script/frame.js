// The page around the pictures: language, theme, keys; and its start.

function remember() { memory.write("usual", { lang: state.lang, theme: state.theme, by: state.by }); }

function showFrame() {
  const root = document.documentElement;
  root.lang = state.lang === "zh" ? "zh-CN" : "en";
  if (state.theme === "auto") delete root.dataset.theme;
  else root.dataset.theme = state.theme;
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", t(element.dataset.label));
  for (const element of document.querySelectorAll("[data-placeholder]")) element.setAttribute("placeholder", t(element.dataset.placeholder));
  $("language").textContent = t("language");
  $("language").lang = state.lang === "zh" ? "en" : "zh-CN";
  $("language").setAttribute("aria-label", t("languageLabel"));
  $("theme").textContent = "◐ " + t(`theme${state.theme[0].toUpperCase()}${state.theme.slice(1)}`);
  $("theme").setAttribute("aria-label", `${t("theme")}: ${$("theme").textContent.slice(2)}`);
  $("help").textContent = t("help");
  const count = data.pictures.filter((picture) => picture.pixels).length;
  const changed = data.pictures.filter((picture) => picture.state && picture.state !== "failed").length;
  $("facts").textContent = [
    t("facts", { version: data.isProposal ? t("proposal") : data.version, count }),
    data.parent ? t("factsChanged", { changed, parent: data.parent }) : t("factsFirst"),
    data.made ? t("factsMade", { made: when(data.made) }) : "", data.engine,
  ].filter(Boolean).join(" · ");
  const rows = [...new Set(data.pictures.map((picture) => picture.row))];
  $("character").replaceChildren(h("option", { value: "" }, t("allCharacters")),
    ...rows.map((row) => h("option", { value: row }, nameOf(row) === row ? row : `${nameOf(row)} (${row})`)));
  $("character").value = state.character;
  showAll();
}

function showKeys() {
  const rows = [[["j", "k"], "keyMove"], [["↵", "Esc"], "keyOpen"], [["a", "r", "p", "e"], "keyDecide"], [["n"], "keyNote"], [["u"], "keyUndo"],
    [["c"], "keyCompare"], [["1", "9"], "keyChoose"], [["/"], "keyFind"], [["?"], "keyHelp"]];
  $("keys").className = "sheet";
  $("keys").replaceChildren(h("div", { class: "bar" }, h("h2", { id: "keys-title" }, t("keysTitle")), button("quiet", t("close"), () => $("keys").close())),
    h("dl", {}, ...rows.flatMap(([letters, words]) => [h("dt", {}, ...letters.map((letter) => h("kbd", {}, letter))), h("dd", {}, t(words))])));
  $("keys").showModal();
}

function pressed(event) {
  const target = event.target, isViewing = $("viewer").open;
  if (event.ctrlKey || event.metaKey || event.altKey || $("basket").open || $("keys").open) return;
  if (target.matches?.("textarea, select, input")) {
    if (target.type !== "range" || event.key.startsWith("Arrow")) return;
  }
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const isOnTile = target.classList?.contains("tile");
  if (key === "j" || ((isViewing || isOnTile) && key === "ArrowRight")) step(1);
  else if (key === "k" || ((isViewing || isOnTile) && key === "ArrowLeft")) step(-1);
  else if (KEY[key]) decide(state.current, key === "p" && state.current?.standing === "pin" ? "unpin" : KEY[key]);
  else if (key === "u") undo(state.current);
  else if (key === "n") { openViewer(); $("viewer").querySelector("textarea")?.focus(); }
  else if (key === "c" && isViewing) {
    const all = modesOf(state.current);
    if (all.length) setMode(state.current, all[(all.indexOf(modeOf(state.current)) + 1) % all.length]);
  } else if (isViewing && /^[1-9]$/.test(key)) chooseNumber(state.current, Number(key));
  else if (key === "/" && !isViewing) $("search").focus();
  else if (key === "?") showKeys();
  else return;
  event.preventDefault();
}

const themes = ["auto", "light", "dark"];
$("language").addEventListener("click", () => { state.lang = state.lang === "zh" ? "en" : "zh"; remember(); showFrame(); });
$("theme").addEventListener("click", () => { state.theme = themes[(themes.indexOf(state.theme) + 1) % 3]; remember(); showFrame(); });
$("help").addEventListener("click", showKeys);
$("open-basket").addEventListener("click", showBasket);
$("character").addEventListener("change", (event) => { state.character = event.target.value; showAll(); });
$("search").addEventListener("input", (event) => { state.search = event.target.value.trim().toLowerCase(); showAll(); });
$("viewer").addEventListener("close", () => {
  $("viewer").replaceChildren();
  if (!fits(state.current)) showAll();
  go(state.current);
});
document.addEventListener("keydown", pressed);
state.current = data.pictures.find((picture) => picture.pixels) ?? null;
showFrame();
