// The server's REST side: JSON there, JSON back, and a Problem for everything that is refused.

const PATIENCE_MS = 15_000;

/** What was refused: `fields` says of which field. Status 0: there was no answer. */
export class Problem extends Error {
  constructor(status, message, fields = []) {
    super(message);
    this.status = status;
    this.fields = fields;
  }
}

export async function call(method, path, { token, body } = {}) {
  const headers = {};
  if (token) headers.authorization = `Bearer ${token}`;
  if (body) headers["content-type"] = "application/json";
  let response, answer;
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    response = await fetch(path, { method, headers, body: body && JSON.stringify(body), signal });
    answer = await response.json();
  } catch {
    throw new Problem(0, "the server does not answer: is it running?");
  }
  if (!response.ok) throw new Problem(response.status, answer.message, answer.data);
  return answer;
}
