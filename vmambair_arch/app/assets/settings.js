// The user's choices, which the browser remembers if it may; networks by their labels.
// Theme is the viewer's, a classic script.

const KEY = "vmambair-settings";

export const settings = { network: "", then: "", beside: [], format: "", strength: null };

// Restore the settings of the last visit.
export function restore() {
  try {
    Object.assign(settings, JSON.parse(Theme.memory()?.getItem(KEY) ?? "{}"));
  } catch {
    Theme.memory()?.removeItem(KEY); // another version wrote it
  }
}

export function keep(changes) {
  Object.assign(settings, changes);
  Theme.memory()?.setItem(KEY, JSON.stringify(settings));
}
