// Forms that ask the server: quiet while it answers, and what it refuses stands beside the field it is about.

import { Problem } from "/page/api.js";

/** Calls `send(values)` on submit and shows the Problem it throws. */
export function onSubmit(form, send) {
  const button = form.querySelector("button:not([type=button])");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    clear(form);
    button.disabled = true;
    try {
      await send(Object.fromEntries(new FormData(form)));
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      show(form, problem);
    } finally {
      button.disabled = false;
    }
  });
}

/** Takes away what was said about earlier values. */
export function clear(form) {
  form.querySelector("[role=alert]").textContent = "";
  for (const said of form.querySelectorAll(".field-problem")) said.remove();
  for (const field of form.elements) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
  }
}

function show(form, problem) {
  const named = problem.fields.filter(({ field }) => form.elements.namedItem(field));
  for (const { field, message } of named) {
    const control = form.elements.namedItem(field);
    const said = document.createElement("p");
    said.id = `${control.id}-problem`;
    said.className = "problem field-problem";
    said.textContent = message;
    (control.closest(".row") ?? control).after(said);
    control.setAttribute("aria-invalid", "true");
    control.setAttribute("aria-describedby", said.id);
  }
  if (named.length > 0) form.elements.namedItem(named[0].field).focus();
  else form.querySelector("[role=alert]").textContent = problem.message;
}
