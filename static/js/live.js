// Live regions: an element with hx-get, hx-trigger="refresh" and data-live="seconds" re-renders itself. The server ends
// it by answering without data-live; a header of the answer may ask for more seconds than that, where many pages are
// open. Nobody is disturbed: not a selection, not an open dialog, not a field in use.
"use strict";
(() => {
  const SLOWEST = 60;
  const failures = new WeakMap();
  const scheduled = new WeakMap();
  const asked = new Map(); // by id: an answer takes the place of the region

  function pace(region) {
    return Math.max(Number(region.dataset.live), asked.get(region.id) || 0);
  }

  function schedule(region, seconds = pace(region)) {
    clearTimeout(scheduled.get(region));
    if (!region.isConnected || !region.dataset.live || document.hidden) return;
    scheduled.set(region, setTimeout(() => refresh(region), Math.max(seconds, 0.5) * 1000));
  }

  function refresh(region) {
    if (!region.isConnected || document.hidden) return;
    if (inUse(region)) return schedule(region, 1);
    htmx.trigger(region, "refresh");
  }

  function inUse(region) {
    const selection = document.getSelection();
    if (selection && !selection.isCollapsed && selection.containsNode(region, true)) return true;
    if (region.querySelector("dialog[open], :popover-open")) return true;
    const focused = document.activeElement;
    return region.contains(focused) && focused.matches("input:not([type=checkbox]), select, textarea");
  }

  const regions = (root) => [...(root.matches?.("[data-live]") ? [root] : []), ...root.querySelectorAll("[data-live]")];

  // What a swap would lose: which details are open, which boxes are ticked, where the focus is.
  function remember(region) {
    const focused = region.contains(document.activeElement) ? document.activeElement : null;
    return {
      open: [...region.querySelectorAll("details[id][open]")].map((one) => one.id),
      ticked: [...region.querySelectorAll("[data-select]:checked")].map((one) => one.value),
      scrolled: [...region.querySelectorAll("[id].table-scroll, [id].log")].map((one) => [one.id, one.scrollLeft, one.scrollTop]),
      focused: focused && !focused.id ? [focused.tagName, focused.textContent, focused.getAttribute("href")].join("\n") : null,
    };
  }

  function restore(region, state) {
    state.open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
    region.querySelectorAll("[data-select]").forEach((box) => (box.checked = state.ticked.includes(box.value)));
    state.scrolled.forEach(([id, left, top]) => document.getElementById(id)?.scrollTo(left, top));
    if (!state.focused) return;
    const same = (one) => [one.tagName, one.textContent, one.getAttribute("href")].join("\n") === state.focused;
    [...region.querySelectorAll("a, button, summary")].find(same)?.focus({ preventScroll: true });
  }

  let remembered = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    const target = event.detail.target;
    if (!event.detail.requestConfig.elt.matches("[data-live]")) return;
    asked.set(target.id, Number(event.detail.xhr.getResponseHeader("Live-Seconds")));
    // The answer came while something was in use: drop it, the next one is fresher anyway.
    if (inUse(target)) event.detail.shouldSwap = false;
    else remembered = { id: target.id, state: remember(target) };
  });
  document.addEventListener("htmx:afterSettle", () => {
    const region = remembered && document.getElementById(remembered.id);
    if (region) restore(region, remembered.state);
    remembered = null;
  });

  document.addEventListener("htmx:afterRequest", (event) => {
    const region = event.detail.elt;
    if (!region.matches?.("[data-live]")) return;
    const count = event.detail.successful ? 0 : (failures.get(region) || 0) + 1;
    failures.set(region, count);
    region.classList.toggle("is-stale", count > 1);
    schedule(region, Math.min(pace(region) * 2 ** count, SLOWEST));
  });
  document.addEventListener("htmx:load", (event) => regions(event.target).forEach((region) => schedule(region)));
  document.addEventListener("visibilitychange", () => !document.hidden && regions(document).forEach(refresh));
  regions(document).forEach((region) => schedule(region));
})();
