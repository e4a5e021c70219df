"use strict";
// One slider for all sheets: each shows its newest frame at the slider's step.
const slider = document.getElementById("step");
if (slider) {
  const steps = slider.dataset.steps.split(" ").map(Number);
  const strips = [...document.querySelectorAll(".frames")].map((one) => [...one.children]);
  const show = () => {
    const step = steps[slider.value];
    for (const frames of strips) {
      const past = frames.filter((frame) => Number(frame.dataset.step) <= step);
      const shown = past.length ? past[past.length - 1] : frames[0];
      for (const frame of frames) frame.hidden = frame !== shown;
    }
    const text = step.toLocaleString("en");
    slider.parentElement.querySelector("output").textContent = text;
    slider.setAttribute("aria-valuetext", `step ${text}`);
  };
  slider.addEventListener("input", show);
  slider.parentElement.hidden = steps.length < 2;
  show();
}
