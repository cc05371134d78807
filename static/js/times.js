// Times are UTC in the page; here each gets the reader's own zone beside it or on hover.
"use strict";
(() => {
  const zone = document.documentElement.dataset.zone || Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  // Swedish writes times as yyyy-mm-dd hh:mm:ss.
  const written = new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "medium" });
  const utc = new Intl.DateTimeFormat("sv-SE", { timeZone: "UTC", dateStyle: "short", timeStyle: "medium" });
  const local = (moment) => written.format(moment);

  function ago(moment) {
    const seconds = Math.round((Date.now() - moment) / 1000);
    const size = Math.abs(seconds);
    if (size < 60) return seconds < 0 ? "within a minute" : "just now";
    const [length, unit] = [[86400, "day"], [3600, "hour"], [60, "minute"]].find(([step]) => size >= step);
    return new Intl.RelativeTimeFormat("en", { numeric: "always" }).format(-Math.trunc(seconds / length), unit);
  }

  function tell(element) {
    const moment = new Date(element.dateTime);
    if (Number.isNaN(moment.getTime())) return;
    element.dataset.utc ??= element.title;
    element.title = `${element.dataset.utc}\n${local(moment)} ${zone}\n${ago(moment)}`;
    const same = local(moment) === utc.format(moment);
    say(element, "when-local", same ? "" : `${local(moment).slice(11)} ${zone}`);
    say(element, "when-ago", ago(moment));
  }

  // Into what stands beside a time, up to the next time.
  function say(element, name, words) {
    for (let one = element.nextElementSibling; one && !one.matches("time"); one = one.nextElementSibling) {
      if (one.classList.contains(name)) one.textContent = words;
    }
  }

  // yyyy-mm-dd hh:mm[:ss], read as UTC.
  function typed(text) {
    const parts = /^(\d{4}-\d{2}-\d{2})(?:[ T](\d{2}:\d{2}(?::\d{2})?))?Z?$/.exec(text.trim());
    return parts ? new Date(`${parts[1]}T${parts[2] || "00:00"}Z`) : null;
  }

  function tellTyped(input) {
    const line = document.getElementById(input.dataset.utcLocal);
    if (!line) return;
    const moment = typed(input.value);
    const known = moment && !Number.isNaN(moment.getTime());
    line.textContent = known ? `${local(moment)} ${zone}` : "";
  }

  function refresh(root) {
    root.querySelectorAll("time[data-when]").forEach(tell);
    root.querySelectorAll("input[data-utc-local]").forEach(tellTyped);
  }

  document.addEventListener("pointerover", (event) => {
    const element = event.target.closest?.("time[data-when]");
    if (element) tell(element);
  });
  document.addEventListener("input", (event) => {
    if (event.target.matches("input[data-utc-local]")) tellTyped(event.target);
  });
  document.addEventListener("htmx:load", (event) => refresh(event.target));
  refresh(document);
  setInterval(() => document.hidden || refresh(document), 30000);
})();
