// What this page asks of the server: every call returns its answer or throws an error with one line for people.

export const SENSE = { audio: "heard", visual: "seen" };
export const OTHER = { audio: "visual", visual: "audio" };

export async function ask(path, body) {
  const sent = body === undefined ? {} : {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
  };
  let answer, found = {};
  try {
    answer = await fetch(path, sent);
  } catch {
    throw new Error("The review does not answer; is avparse still running? What it confirmed is kept.");
  }
  try {
    found = await answer.json();
  } catch { /* the status says enough */ }
  if (!answer.ok) throw new Error(found.error || `The review answered ${answer.status}.`);
  return found;
}

export function kept(name, make) {
  // A value of this tab that outlives loading the page again.
  const found = sessionStorage.getItem(name) ?? make();
  sessionStorage.setItem(name, found);
  return found;
}
