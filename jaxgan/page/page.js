"use strict";
(() => {
  const root = document.documentElement;
  const all = (query, from = document) => [...from.querySelectorAll(query)];

  // Light or dark: what the system prefers, until the button or #dark or #light says otherwise.
  const theme = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const say = () => {
    theme.textContent = isDark() ? "Light" : "Dark";
  };
  const hash = location.hash.slice(1);
  if (hash === "dark" || hash === "light") root.dataset.theme = hash;
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    say();
  });
  system.addEventListener("change", say);
  theme.hidden = false;
  say();

  // The sheets: each shows its newest picture at the slider's step.
  const slider = document.getElementById("step");
  if (slider) {
    const play = document.getElementById("play");
    const player = slider.closest(".player");
    const output = player.querySelector("output");
    const steps = slider.dataset.steps.split(" ").map(Number);
    const sheets = all(".frames").map((one) => all("figure", one));
    let timer = 0;
    const show = () => {
      const step = steps[slider.value];
      const told = `step ${step.toLocaleString("en")}`;
      for (const frames of sheets) {
        const there = frames.filter((frame) => Number(frame.dataset.step) <= step);
        const shown = there.length ? there[there.length - 1] : frames[0];
        for (const frame of frames) frame.hidden = frame !== shown;
      }
      output.textContent = told;
      slider.setAttribute("aria-valuetext", told);
      player.dataset.step = step;
    };
    const stop = () => {
      clearInterval(timer);
      timer = 0;
      play.textContent = "Play";
    };
    play.addEventListener("click", () => {
      if (timer) return stop();
      if (Number(slider.value) === steps.length - 1) slider.value = 0;
      show();
      play.textContent = "Pause";
      timer = setInterval(() => {
        slider.value = Number(slider.value) + 1;
        show();
        if (Number(slider.value) === steps.length - 1) stop();
      }, 350);
    });
    slider.addEventListener("input", () => {
      stop();
      show();
    });
    player.hidden = steps.length < 2;
    show();
  }

  // The curves: the legend tells the values at the pointer, or at the step of the arrow keys.
  for (const figure of all("figure.curves")) {
    const plot = figure.querySelector(".plot");
    const guide = plot.querySelector(".guide");
    const at = figure.querySelector(".at");
    const left = Number(plot.dataset.left);
    const right = Number(plot.dataset.right);
    const width = plot.viewBox.baseVal.width;
    const lines = all(".legend li", figure).map((one) => ({
      output: one.querySelector("output"),
      steps: one.dataset.steps.split(" ").map(Number),
      values: one.dataset.values.split("|"),
    }));
    const every = [...new Set(lines.flatMap((line) => line.steps))].sort((a, b) => a - b);
    let here = every.length - 1;
    const nearest = (steps, step) =>
      steps.reduce((best, x, i) => (Math.abs(x - step) < Math.abs(steps[best] - step) ? i : best), 0);
    const show = (index) => {
      here = Math.max(0, Math.min(every.length - 1, index));
      const step = every[here];
      const x = ((step - left) / (right - left)) * width;
      guide.setAttribute("x1", x);
      guide.setAttribute("x2", x);
      guide.setAttribute("visibility", "visible");
      at.textContent = ` at step ${step.toLocaleString("en")}`;
      for (const line of lines) line.output.textContent = line.values[nearest(line.steps, step)];
    };
    const rest = () => {
      guide.setAttribute("visibility", "hidden");
      at.textContent = "";
      for (const line of lines) line.output.textContent = line.values[line.values.length - 1];
    };
    const point = (event) => {
      const box = plot.getBoundingClientRect();
      const step = left + ((event.clientX - box.left) / box.width) * (right - left);
      show(nearest(every, step));
    };
    plot.addEventListener("pointermove", point);
    plot.addEventListener("pointerdown", point);
    plot.addEventListener("pointerleave", rest);
    plot.addEventListener("blur", rest);
    plot.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by) return;
      event.preventDefault();
      show(here + by);
    });
  }

  root.dataset.script = "ready";
})();
