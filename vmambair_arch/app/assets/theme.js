// Light, dark, or as the system has it: a button goes round these.

const THEMES = { auto: "Automatic", light: "Light", dark: "Dark" };
const KEY = "theme";

export function followTheme(button) {
  const names = Object.keys(THEMES);
  const show = (name) => {
    document.documentElement.dataset.theme = name;
    button.textContent = THEMES[name];
    button.setAttribute("aria-label", `Theme: ${THEMES[name]}`);
  };
  let current = names.includes(localStorage[KEY]) ? localStorage[KEY] : "auto";
  show(current);
  button.addEventListener("click", () => {
    current = names[(names.indexOf(current) + 1) % names.length];
    localStorage[KEY] = current;
    show(current);
  });
}
