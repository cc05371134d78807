// Times can be picked too: the browser's own calendar writes into the field, read as UTC.
"use strict";
(() => {
  document.querySelectorAll("input[data-utc-local]").forEach((field) => {
    const picker = document.createElement("input");
    if (!("showPicker" in picker)) return;
    picker.type = "datetime-local";
    picker.step = "1";
    picker.className = "visually-hidden";
    picker.tabIndex = -1;
    picker.setAttribute("aria-hidden", "true");

    const button = document.createElement("button");
    button.type = "button";
    button.className = "button";
    button.textContent = "Pick";
    button.setAttribute("aria-label", `Pick: ${field.labels[0]?.firstChild.textContent ?? "time"}`);
    button.addEventListener("click", () => {
      picker.value = field.value.trim().replace(" ", "T");
      picker.showPicker();
    });
    picker.addEventListener("change", () => {
      const text = picker.value.replace("T", " ");
      field.value = text.length === 16 ? `${text}:00` : text;
      field.dispatchEvent(new Event("input", { bubbles: true }));
    });

    const row = document.createElement("div");
    row.className = "picked";
    field.replaceWith(row);
    row.append(field, button, picker);
  });
})();
