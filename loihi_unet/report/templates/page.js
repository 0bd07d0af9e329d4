// SPDX-License-Identifier: BSD-3-Clause
"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// A click, or Enter, on a picture shows it as large as the window.
const dialog = document.querySelector("dialog");
for (const button of all(".enlarge")) {
  button.addEventListener("click", () => {
    const small = button.querySelector("img"), large = dialog.querySelector("img");
    large.src = small.src;
    large.alt = small.alt;
    dialog.querySelector("b").textContent = small.alt;
    const ratio = small.naturalWidth / small.naturalHeight;
    const width = Math.min(innerWidth * 0.92, innerHeight * 0.8 * ratio);
    large.style.width = `${width}px`;
    dialog.showModal();
  });
}
if (dialog) dialog.addEventListener("click", (event) => {
  if (event.target === dialog || event.target.tagName === "IMG") dialog.close();
});

// Two pictures over each other, parted by a slider.
for (const box of all(".compare")) {
  const [left, right] = all("select", box), [below, above] = all("img", box);
  const slider = box.querySelector("input"), stage = box.querySelector(".stage");
  const show = () => {
    for (const [select, image] of [[left, below], [right, above]]) {
      image.src = document.getElementById(select.value).src;
      image.alt = select.selectedOptions[0].textContent;
    }
    stage.style.setProperty("--at", `${slider.value}%`);
  };
  for (const control of [left, right, slider]) control.addEventListener("input", show);
  show();
  box.hidden = false;
}

// Payloads of one layer at one step.
for (const box of all(".maps")) {
  const select = box.querySelector("select"), slider = box.querySelector("input");
  const said = box.querySelector("output"), figures = all("figure", box);
  const show = () => {
    for (const figure of figures) figure.hidden = figure.id !== select.value;
    const figure = document.getElementById(select.value);
    const shares = JSON.parse(figure.dataset.spiking), steps = shares.length;
    slider.max = steps;
    const step = Number(slider.value);
    const image = figure.querySelector("img");
    image.style.transform = `translateY(${(-100 * (step - 1)) / steps}%)`;
    const text = `step ${step} of ${figure.dataset.of}: ` +
      `${(100 * shares[step - 1]).toFixed(2)} % of the layer's payloads are not 0`;
    said.textContent = text;
    slider.setAttribute("aria-valuetext", text);
    image.alt = `Payloads of ${figure.dataset.layer}, ${text}`;
  };
  for (const control of [select, slider]) control.addEventListener("input", show);
  show();
  box.querySelector(".controls").hidden = false;
}
