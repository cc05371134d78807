// Small conveniences; every page works without them.
"use strict";
(() => {
  const root = document.documentElement;

  function say(words) {
    const place = document.getElementById("said");
    if (!place) return;
    place.textContent = words;
    clearTimeout(say.timer);
    say.timer = setTimeout(() => (place.textContent = ""), 2000);
  }

  // Theme: system, light, dark.
  function setTheme(theme) {
    if (theme === "system") delete root.dataset.theme;
    else root.dataset.theme = theme;
    try {
      if (theme === "system") localStorage.removeItem("theme");
      else localStorage.setItem("theme", theme);
    } catch {
      // Not kept for the next page; this page has it.
    }
  }
  const themes = document.querySelector("[data-theme-choice]");
  if (themes) {
    themes.value = root.dataset.theme || "system";
    themes.addEventListener("change", () => setTheme(themes.value));
  }

  // Copy buttons: data-copy holds the text, or "#id" of the element that does.
  async function copy(button) {
    const wanted = button.dataset.copy;
    const source = wanted.startsWith("#") ? document.querySelector(wanted) : null;
    const text = source ? (source.value ?? source.textContent) : wanted;
    try {
      await navigator.clipboard.writeText(text);
      say("Copied");
    } catch {
      say("The browser does not let this page copy");
    }
  }

  // Dialogs: data-opens="id" opens one, data-closes closes the one around it.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy], [data-opens], [data-closes]");
    if (!button) return;
    if ("copy" in button.dataset) copy(button);
    if ("opens" in button.dataset) document.getElementById(button.dataset.opens)?.showModal();
    if ("closes" in button.dataset) button.closest("dialog")?.close();
  });

  // Forms with data-confirm ask first. Without JavaScript the server's own confirmation still stands.
  const confirmDialog = document.getElementById("confirm-dialog");
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const question = event.submitter?.dataset.confirm ?? form.dataset.confirm;
    if (!question || !confirmDialog || form.dataset.confirmed) return delete form.dataset.confirmed;
    event.preventDefault();
    event.stopPropagation();
    ask(question, event.submitter?.textContent.trim() || "Continue", () => {
      form.dataset.confirmed = "yes";
      form.requestSubmit(event.submitter);
    });
  }, true);

  function ask(question, action, then) {
    confirmDialog.querySelector("[data-question]").textContent = question;
    confirmDialog.querySelector("[data-yes]").textContent = action;
    confirmDialog.returnValue = "";
    confirmDialog.addEventListener("close", () => confirmDialog.returnValue === "yes" && then(), { once: true });
    confirmDialog.showModal();
  }

  // Tables: a checkbox in the header ticks its column.
  document.addEventListener("change", (event) => {
    const box = event.target;
    if (!box.matches("[data-select-all], [data-select]")) return;
    const table = box.closest("table");
    const boxes = [...table.querySelectorAll("[data-select]")];
    if (box.matches("[data-select-all]")) boxes.forEach((one) => (one.checked = box.checked));
    const ticked = boxes.filter((one) => one.checked).length;
    const all = table.querySelector("[data-select-all]");
    if (all) [all.checked, all.indeterminate] = [ticked === boxes.length, ticked > 0 && ticked < boxes.length];
  });

  // Keys: "/" to the search, "f" to the page's first filter, "g" then a letter to a page, "?" for help.
  let going = 0;
  const typing = (element) => element.closest("input, select, textarea, [contenteditable], dialog[open]");

  function focus(field) {
    const sheet = field?.closest("[popover]");
    if (sheet && !sheet.checkVisibility()) sheet.showPopover();
    field?.focus();
    field?.select?.();
    return Boolean(field);
  }

  function go(letter) {
    const link = [...document.querySelectorAll("a[data-go]")].find((one) => one.dataset.go === letter);
    link?.click();
    return Boolean(link);
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const pending = Date.now() - going < 1500;
    going = 0;
    let done = false;
    if (pending) done = go(event.key);
    else if (event.key === "/") done = focus(document.getElementById("search"));
    else if (event.key === "f") done = focus(document.querySelector("[data-search], .filter-bar input, .filter-bar select"));
    else if (event.key === "?") done = Boolean(document.getElementById("help")?.showModal() ?? true);
    else if (event.key === "g") going = Date.now();
    if (done) event.preventDefault();
  });
})();
