// Latent explorers: each shows the tile of its atlas that its controls name.
for (const box of document.querySelectorAll(".explorer")) {
  const { noises, points, positions, groups, width, height, columns } = JSON.parse(box.dataset.layout);
  const [canvas, atlas, shown] = ["canvas", "img", "[role=status]"].map((one) => box.querySelector(one));
  const [choice, from, to] = ["choice", "from", "to"].map((one) => box.querySelector(`[name=${one}]`));
  const sliders = [...box.querySelectorAll("input")];
  const path = sliders.find((slider) => slider.name === "path");
  const codes = sliders.filter((slider) => slider !== path);
  const sizes = groups.map((group) => noises * positions ** group.length);
  const start = (group) => sizes.slice(0, group).reduce((sum, size) => sum + size, 0);
  const ofChoice = start(groups.length) + ((noises * (noises - 1)) / 2) * points;
  const place = (slider) => Math.round((slider.value - slider.min) / slider.step);

  // The number of the tile in the order of `explorer.Layout`.
  const tile = () => {
    const first = (choice ? choice.selectedIndex : 0) * ofChoice;
    const [a, b] = [from.selectedIndex, to.selectedIndex];
    if (Number(path.value) === 0 && groups.length) {
      const varied = codes.find((code) => Number(code.value) !== 0);
      const group = varied ? Number(varied.dataset.group) : 0;
      const own = codes.filter((code) => Number(code.dataset.group) === group);
      return first + start(group) + own.reduce((sum, code) => sum * positions + place(code), a);
    }
    const [low, high] = a < b ? [a, b] : [b, a];
    const pair = (low * (2 * noises - low - 1)) / 2 + high - low - 1;
    const point = a < b ? place(path) : points - 1 - place(path);
    return first + start(groups.length) + pair * points + point;
  };

  const text = () => {
    const label = (control) => box.querySelector(`label[for="${control.id}"]`).textContent;
    const value = (control) => control.options[control.selectedIndex].text;
    const share = Number(path.value);
    const noise = share === 1 ? value(to) : value(from);
    const between = share > 0 && share < 1 ? `, ${share * 100} % of the way to noise ${value(to)}` : "";
    const parts = choice ? [`${label(choice)}: ${value(choice)}`] : [];
    parts.push(`noise ${noise}${between}`, ...codes.map((code) => `${label(code).toLowerCase()} at ${code.value}`));
    return parts.join("; ");
  };

  const draw = () => {
    const i = tile();
    const [left, top] = [(i % columns) * width, Math.floor(i / columns) * height];
    canvas.getContext("2d").drawImage(atlas, left, top, width, height, 0, 0, width, height);
    path.setAttribute("aria-valuetext", `${path.value * 100} %`);
    for (const slider of sliders) {
      const percent = slider === path;
      slider.nextElementSibling.textContent = percent ? `${slider.value * 100} %` : slider.value;
    }
    shown.textContent = text();
    canvas.setAttribute("aria-label", `Generated image. ${shown.textContent}`);
  };

  box.addEventListener("input", ({ target }) => {
    // There are tiles for one group of sliders at a time: those of the others go to 0.
    for (const slider of sliders) {
      if (sliders.includes(target) && slider.dataset.group !== target.dataset.group) slider.value = 0;
    }
    // There is no path from a noise to itself.
    if (from.selectedIndex === to.selectedIndex) {
      const other = target === from ? to : from;
      other.selectedIndex = (target.selectedIndex + 1) % noises;
    }
    draw();
  });
  // Only now is the atlas there.
  window.addEventListener("load", () => {
    draw();
    box.hidden = false;
  });
}
